import Glibc

/// A database file that only its user can read, because events contain personal data.
enum PrivateFile {
    private static let rights: mode_t = 0o600

    /// Creates the file if it is missing. Removes other users' access to it and to the files that an earlier process left beside it. SQLite
    /// creates its log and shared memory with the permissions of the database (os_unix.c, `findCreateFileMode`).
    ///
    /// An existing file is not opened: closing it would release the locks that SQLite holds on it in this process
    /// (<https://www.sqlite.org/howtocorrupt.html>, 2.2). Another user's file keeps its permissions.
    static func prepare(_ path: String) {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, rights)
        if file >= 0 { close(file) }
        for name in [path, path + "-wal", path + "-shm"] { chmod(name, rights) }
    }
}
