import Foundation
import Testing

@testable import analytics

struct DataDirectoryTests {
    /// The rights of a folder after it was prepared; `before`: those that it had, where it was there.
    private func rights(before: Int?) throws -> Int? {
        let folder = FileManager.default.temporaryDirectory.appending(path: "data-\(UUID().uuidString)/a").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        if let before {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try FileManager.default.setAttributes([.posixPermissions: before], ofItemAtPath: folder)
        }
        try DataDirectory.prepare(folder)
        return try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
    }

    @Test(arguments: [nil, 0o755, 0o750, 0o700, 0o777]) func aFolderIsForItsUserAlone(before: Int?) throws {
        #expect(try rights(before: before) == 0o700)
    }

    @Test func aFolderThatAllShareStaysSo() throws {
        #expect(try rights(before: 0o1777) == 0o1777)
    }
}
