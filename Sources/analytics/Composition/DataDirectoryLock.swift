internal import Glibc

/// Locks a folder for one serving process. The lock is on the folder itself: there is no lock file to leave behind or to delete by mistake,
/// and the kernel releases it when the process ends (flock(2)).
final class DataDirectoryLock: Sendable {
    private let descriptor: Int32

    /// The folder must exist. Throws a ``SettingsError`` if another process has the lock.
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
