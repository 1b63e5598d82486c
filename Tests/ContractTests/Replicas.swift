import Foundation
import Testing

/// Three members of a replica set that reach each other through proxies: `Tests/Chaos/replicas.py`, which lists its commands.
final class Replicas {
    struct Failure: Error {
        var line: String
    }

    private let process: Process
    private let input: FileHandle
    private let folder: URL
    private var output: AsyncStream<Data>.Iterator
    private var received = Data()
    private(set) var uri = ""

    static func run(_ body: (Replicas) async throws -> Void) async throws {
        let replicas = try await Replicas(program: #require(mongodProgram))
        defer { replicas.end() }
        try await body(replicas)
    }

    private init(program: String) async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "replicas-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (input, output) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Chaos/replicas.py").standardized
        process.arguments = [folder.path(), program]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        self.input = input.fileHandleForWriting
        let (chunks, continuation) = AsyncStream.makeStream(of: Data.self)
        output.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            guard data.isEmpty else {
                continuation.yield(data)
                return
            }
            handle.readabilityHandler = nil
            continuation.finish()
        }
        self.output = chunks.makeAsyncIterator()
        uri = try await line()
    }

    /// Returns when the command is carried out.
    func tell(_ command: String) async throws {
        try input.write(contentsOf: Data((command + "\n").utf8))
        let line = try await line()
        guard line == "ok" else { throw Failure(line: line) }
    }

    private func line() async throws -> String {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                defer { received = received[(end + 1)...] }
                return String(decoding: received[..<end], as: UTF8.self)
            }
            guard let data = await output.next(isolation: #isolation) else { throw Failure(line: "no answer") }
            received += data
        }
    }

    private func end() {
        try? input.close()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }
}
