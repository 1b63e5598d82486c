internal import Foundation
internal import Glibc

/// The folder of the embedded backends. What is in it names people: it is for the user who runs the service alone.
enum DataDirectory {
    private static let sticky: mode_t = 0o1000

    /// Makes it where it is not there, and takes the rights of others from it. Left as they are: a folder of another user, and one that all
    /// share (with the sticky bit, as `/tmp`).
    static func prepare(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw SettingsError("DATA_DIR", path, allowed: "a folder that can be created and written to (\(error.localizedDescription))")
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_uid == geteuid(), status.st_mode & sticky == 0 else { return }
        chmod(path, 0o700)
    }
}
