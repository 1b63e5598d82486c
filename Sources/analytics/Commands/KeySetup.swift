internal import AnalyticsCore
internal import ArgumentParser
internal import Foundation

struct SetUpKeys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Make a read key and a write key of the project \(ProjectID.first), once, in files.",
        discussion: """
            For the first start of containers. Writes FOLDER/read and FOLDER/write, which only their owner can read. A file whose key is \
            still accepted is left as it is, so the command can run at every start.
            """)

    @Option(help: "The folder of the files. It must exist.")
    var folder: String

    func run() async throws {
        try await KeyCommands.withKeys { keys, store in
            for scope in [Scope.read, .write] {
                let file = KeyFile(path: folder + "/" + scope.rawValue)
                if let key = file.key, let known = try await store.key(key.digest.keyID), known.refusal(at: WallClock.system.now()) == nil {
                    print("\(file.path) is there")
                    continue
                }
                // First the file: a key that cannot be written down is of no use to anyone.
                try file.begin()
                let new = try await keys.create(
                    project: .first, scope: scope, name: "setup", expiresAt: nil, by: .command)
                try file.finish(new.key)
                print("\(file.path) is written")
            }
        }
    }
}

/// A file with one key, which only its owner can read.
private struct KeyFile {
    let path: String

    private var part: String { path + ".part" }

    /// `nil` if there is no such file, or something else in it.
    var key: APIKey? {
        guard let bytes = FileManager.default.contents(atPath: path) else { return nil }
        return APIKey(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }

    /// Makes a file beside it, empty.
    func begin() throws {
        let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure }
        defer { close(descriptor) }
        guard fchmod(descriptor, 0o600) == 0 else { throw failure }
    }

    /// Writes the key into it, and gives it the final name.
    func finish(_ key: APIKey) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: part))
        defer { try? handle.close() }
        try handle.write(contentsOf: Data("\(key.text)\n".utf8))
        try handle.synchronize()
        guard rename(part, path) == 0 else { throw failure }
    }

    private var failure: CommandFailure { CommandFailure("\(path) cannot be written: \(String(cString: strerror(errno)))") }
}
