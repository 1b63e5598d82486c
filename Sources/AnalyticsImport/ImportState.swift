public import Foundation

/// What tells one import from another.
struct ImportIdentity: Codable, Equatable {
    /// What ids are made from.
    var name: String
    /// The service's address, without user and password.
    var url: String
    /// How the input becomes events.
    var options: String
    /// SHA-256 of the first line.
    var firstLine: String

    /// Throws unless `part` is the same in an import that goes on from this one's state, in `file`.
    func require(_ part: KeyPath<ImportIdentity, String>, _ what: String, of other: String, in file: String) throws(ImportFailure) {
        guard !self[keyPath: part].utf8.elementsEqual(other.utf8) else { return }
        throw ImportFailure(
            "\(file) is the state of an import \(what) \(self[keyPath: part]), and this one is \(what) \(other): use the same, "
                + "or --restart with a --name of its own, which sends all of it as other events")
    }
}

/// What an import has sent, kept in a file: up to where, and what identifies the import, so that one that is started again goes on there.
struct ImportState: Codable, Equatable {
    /// Raised when a reader of an older one would go wrong. Files of version 1 had none.
    static let version = 2

    static let restartHelp = "--restart sends all of it: what is stored as it is counts as duplicate, what differs is stored beside it."

    var version = Self.version
    var identity: ImportIdentity
    /// Bytes of the input that are settled, and their SHA-256.
    var offset: Int
    var digest: String
    /// Events before `offset`, and the line at which the last record before it begins.
    var events: Int
    var line: Int

    init(_ identity: ImportIdentity, at position: Position) {
        self.identity = identity
        offset = position.offset
        digest = position.digest
        events = position.events
        line = position.line
    }

    /// `nil` if nothing was sent, which any import may begin from.
    static func decode(_ data: Data, from file: String) throws(ImportFailure) -> ImportState? {
        /// What any version says of itself; the first one wrote `settled`.
        struct Format: Decodable {
            var version: Int?
            var settled: Int?
        }
        guard !data.isEmpty else { return nil }
        let format = try? JSONDecoder().decode(Format.self, from: data)
        if let version = format?.version, version > Self.version {
            throw ImportFailure("\(file) was written by a newer version: go on with that one, or give another file with --state")
        }
        if format?.version == nil, format?.settled != nil {
            throw ImportFailure(
                "\(file) was written by an older version, which gave events without ids other ones: let that one end the import, or send all "
                    + "of it with --restart")
        }
        guard let state = try? JSONDecoder().decode(ImportState.self, from: data) else {
            throw ImportFailure("\(file) is not the state of an import: give another file with --state, or write over it with --restart")
        }
        return state.events > 0 ? state : nil
    }

    func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

/// Where an import's state is kept.
public struct ImportStateFile: Sendable {
    /// Names it in messages.
    public var name: String
    /// `nil` if there is none yet.
    public var read: @Sendable () async throws -> Data?
    /// Replaces it as a whole.
    public var write: @Sendable (Data) async throws -> Void

    public init(name: String, read: @escaping @Sendable () async throws -> Data?, write: @escaping @Sendable (Data) async throws -> Void) {
        self.name = name
        self.read = read
        self.write = write
    }
}

/// Which batches are settled. The state stands before the first one that is not: what was sent behind it is sent again, under the same ids.
struct ImportLedger {
    private(set) var settled: Position
    private var open: [(end: Position, isSettled: Bool)] = []
    private var closed = 0

    init(at position: Position) {
        settled = position
    }

    /// Returns the batch's number, to settle it by.
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
