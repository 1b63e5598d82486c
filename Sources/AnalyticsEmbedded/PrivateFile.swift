import Glibc

/// A database that only its user can read: events name people.
enum PrivateFile {
    private static let rights: mode_t = 0o600

    /// Makes the file where it is not there, and takes the rights of others from it and from what an earlier process has left beside it. SQLite
    /// gives the log and the shared memory that it makes the rights of the database (os_unix.c, `findCreateFileMode`).
    ///
    /// A file that is there is not opened: closing it would end the locks that SQLite has on it in this process
    /// (<https://www.sqlite.org/howtocorrupt.html>, 2.2). One of another user keeps its rights.
    static func prepare(_ path: String) {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, rights)
        if file >= 0 { close(file) }
        for name in [path, path + "-wal", path + "-shm"] { chmod(name, rights) }
    }
}
