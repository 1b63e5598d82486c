public import Foundation

/// Behind what an export goes on.
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

/// What an export has written, kept in a file beside it, so that one that is started again goes on there.
struct ExportState: Codable, Equatable {
    /// Raised when a reader of an older one would go wrong.
    static let version = 1

    var version = Self.version
    /// What is exported, from where and how: one that differs in it does not go on.
    var request: String
    /// Of the part file. What stands behind them is cut off.
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
        let unreadable = ExportFailure("\(file) is not the state of an export: --restart begins anew and writes over it")
        guard let format = try? JSONDecoder().decode(Format.self, from: data) else { throw unreadable }
        guard format.version <= Self.version else {
            throw ExportFailure("\(file) was written by a newer version: go on with that one, or begin anew with --restart")
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

/// Where an export is written.
public protocol ExportFile: Sendable {
    /// Names the state in messages.
    var stateName: String { get }
    /// `nil` if there is none.
    func state() async throws -> Data?
    /// Cuts the part file to this length, or makes it.
    func begin(keeping bytes: Int) async throws
    /// Writes behind what is there, durably, and only then the state.
    func append(_ bytes: [UInt8], state: Data) async throws
    /// Gives the file its name, and deletes the state.
    func finish() async throws
}
