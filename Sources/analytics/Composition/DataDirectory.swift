internal import Foundation
internal import Glibc

/// The folder of the embedded backends. It has personal data, so only the user of the service may read it.
enum DataDirectory {
    private static let sticky: UInt32 = 0o1000

    /// Creates the folder if it is missing, and removes the permissions of other users. Does not change a folder of another user, or a
    /// shared one (with the sticky bit, as `/tmp`).
    static func prepare(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw SettingsError("DATA_DIR", path, allowed: "a folder that can be created and written to (\(error.localizedDescription))")
        }
        let folder = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: folder),
            let owner = attributes[.ownerAccountID] as? NSNumber, owner.uint32Value == geteuid(),
            let permissions = attributes[.posixPermissions] as? NSNumber, permissions.uint32Value & Self.sticky == 0
        else { return }
        chmod(path, 0o700)
    }
}
