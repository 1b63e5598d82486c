package import Foundation

/// A certificate authority of a test's own, with its files in a folder of its own. Made by `openssl`.
package struct TestAuthority: Sendable {
    package let folder: URL

    package struct Failure: Error {
        var command: [String]
        var status: Int32
    }

    private static let newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]

    package init() async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "authority-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try await openssl(["req", "-x509"] + Self.newKey + ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"])
    }

    /// What clients trust.
    package var certificate: URL { folder.appending(path: "ca.pem") }

    /// Makes `NAME.pem`, `NAME.key` and, with both, `NAME.both.pem`. By default for this machine.
    @discardableResult
    package func issue(
        _ name: String, for hosts: String = "DNS:localhost,IP:127.0.0.1"
    ) async throws -> (certificate: URL, key: URL) {
        try await openssl(
            ["req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-extensions", "usr_cert"] + Self.newKey + [
                "-keyout", "\(name).key", "-out", "\(name).pem", "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(hosts)",
            ])
        let pair = (certificate: folder.appending(path: "\(name).pem"), key: folder.appending(path: "\(name).key"))
        let both = try Data(contentsOf: pair.certificate) + Data(contentsOf: pair.key)
        try both.write(to: folder.appending(path: "\(name).both.pem"))
        return pair
    }

    package func remove() {
        try? FileManager.default.removeItem(at: folder)
    }

    private func openssl(_ arguments: [String]) async throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = folder
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        guard status == 0 else { throw Failure(command: arguments, status: status) }
    }
}
