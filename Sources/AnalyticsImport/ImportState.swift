public import Foundation

/// Identifies an import.
struct ImportIdentity: Codable, Equatable {
    /// The name that ids are derived from.
    var name: String
    /// The service's address, without user and password.
    var url: String
    /// How the input is turned into events.
    var options: String
    /// SHA-256 of the first line.
    var firstLine: String

    /// Throws unless `part` equals that of the import that continues from the state in `file`.
    func require(_ part: KeyPath<ImportIdentity, String>, _ what: String, of other: String, in file: String) throws(ImportFailure) {
        guard !self[keyPath: part].utf8.elementsEqual(other.utf8) else { return }
        throw ImportFailure(
            "\(file) is the state of an import \(what) \(self[keyPath: part]), and this one is \(what) \(other): use the same, "
                + "or --restart with another --name, which sends everything as other events")
    }
}

/// The progress and identity of an import, stored in a file, so that a restarted import continues there.
struct ImportState: Codable, Equatable {
    /// Raised if an older version would misread the file. Version 1 had no version number.
    static let version = 2

    static let restartHelp = "--restart sends everything: unchanged events count as duplicates, changed ones are stored as further events."

    var version = Self.version
    var identity: ImportIdentity
    /// Settled bytes of the input, and their SHA-256.
    var offset: Int
    var digest: String
    /// Events before `offset`, and the first line of the last record before it.
    var events: Int
    var line: Int

    init(_ identity: ImportIdentity, at position: Position) {
        self.identity = identity
        offset = position.offset
        digest = position.digest
        events = position.events
        line = position.line
    }

    /// `nil` if nothing was sent; then any import may use the file.
    static func decode(_ data: Data, from file: String) throws(ImportFailure) -> ImportState? {
        /// Readable in all versions; version 1 wrote `settled`.
        struct Format: Decodable {
            var version: Int?
            var settled: Int?
        }
        guard !data.isEmpty else { return nil }
        let format = try? JSONDecoder().decode(Format.self, from: data)
        if let version = format?.version, version > Self.version {
            throw ImportFailure("\(file) was written by a newer version: use that version, or give another file with --state")
        }
        if format?.version == nil, format?.settled != nil {
            throw ImportFailure(
                "\(file) was written by an older version, which gave events without ids other ids: finish the import with that "
                    + "version, or send everything with --restart")
        }
        guard let state = try? JSONDecoder().decode(ImportState.self, from: data) else {
            throw ImportFailure("\(file) is not the state of an import: give another file with --state, or overwrite it with --restart")
        }
        return state.events > 0 ? state : nil
    }

    func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

/// The file of an import's state.
public struct ImportStateFile: Sendable {
    /// The file's name in messages.
    public var name: String
    /// `nil` if there is none yet.
    public var read: @Sendable () async throws -> Data?
    /// Replaces the whole content.
    public var write: @Sendable (Data) async throws -> Void

    public init(name: String, read: @escaping @Sendable () async throws -> Data?, write: @escaping @Sendable (Data) async throws -> Void) {
        self.name = name
        self.read = read
        self.write = write
    }
}

/// The settled batches. The state is the position before the first unsettled batch; later events are sent again with the same ids.
struct ImportLedger {
    private(set) var settled: Position
    private var open: [(end: Position, isSettled: Bool)] = []
    private var closed = 0

    init(at position: Position) {
        settled = position
    }

    /// Returns the batch's number, for ``settle(_:)``.
    mutating func begin(_ batch: Batch) -> Int {
        open.append((batch.end, false))
        return closed + open.count - 1
    }

    mutating func settle(_ number: Int) {
        open[number - closed].isSettled = true
        while let first = open.first, first.isSettled {
            settled = first.end
            open.removeFirst()
            closed += 1
        }
    }
}
