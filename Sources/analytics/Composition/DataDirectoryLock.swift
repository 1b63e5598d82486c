internal import Glibc

/// Keeps a folder for one process that serves. The lock is on the folder itself: there is no file to be left behind or to be deleted by
/// mistake, and the kernel lets go of it with the process, whatever ends that (flock(2)).
final class DataDirectoryLock: Sendable {
    private let descriptor: Int32

    /// The folder has to be there. Throws a ``SettingsError`` when another process has it.
    init(_ directory: String) throws {
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0, flock(folder, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            if folder >= 0 { close(folder) }
            throw SettingsError(
                "DATA_DIR", directory,
                allowed: reason == EWOULDBLOCK
                    ? "another process serves from this folder; end that one, or choose another folder"
                    : "a folder that can be locked (\(String(cString: strerror(reason))))")
        }
        descriptor = folder
    }

    deinit {
        close(descriptor)
    }
}
