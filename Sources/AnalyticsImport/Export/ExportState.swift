public import Foundation

/// The place after which an export continues.
enum ExportPlace: Codable, Equatable {
    case beginning
    case event(timestamp: String, id: String)
    case cursor(String)

    var parameters: [(name: String, value: String)] {
        switch self {
        case .beginning: []
        case .event(let timestamp, let id): [("afterTimestamp", timestamp), ("afterId", id)]
        case .cursor(let cursor): [("cursor", cursor)]
        }
    }
}

/// The progress of an export, stored in a file beside it, so that a restarted export continues there.
struct ExportState: Codable, Equatable {
    /// Raised if an older version would misread the file.
    static let version = 1

    var version = Self.version
    /// What is exported, from where and in which format. An export with a different request does not continue this one.
    var request: String
    /// Length of the part file. Bytes after it are truncated.
    var bytes = 0
    var events = 0
    var place = ExportPlace.beginning

    init(request: String) {
        self.request = request
    }

    static func decode(_ data: Data, from file: String, of request: String) throws(ExportFailure) -> ExportState {
        struct Format: Decodable {
            var version: Int
        }
        let unreadable = ExportFailure("\(file) is not the state of an export: --restart starts again and overwrites it")
        guard let format = try? JSONDecoder().decode(Format.self, from: data) else { throw unreadable }
        guard format.version <= Self.version else {
            throw ExportFailure("\(file) was written by a newer version: use that version, or start again with --restart")
        }
        guard let state = try? JSONDecoder().decode(ExportState.self, from: data) else { throw unreadable }
        guard state.request.utf8.elementsEqual(request.utf8) else {
            throw ExportFailure(
                "\(file) is the state of an export of \(state.request), and this one is of \(request): use the same, or --restart")
        }
        return state
    }

    func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

/// The file of an export.
public protocol ExportFile: Sendable {
    /// The name of the state in messages.
    var stateName: String { get }
    /// `nil` if there is none.
    func state() async throws -> Data?
    /// Truncates the part file to this length, or creates it.
    func begin(keeping bytes: Int) async throws
    /// Appends the bytes durably, then writes the state.
    func append(_ bytes: [UInt8], state: Data) async throws
    /// Renames the part file to its final name, and deletes the state.
    func finish() async throws
}
