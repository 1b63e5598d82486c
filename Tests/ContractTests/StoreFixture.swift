import AnalyticsJSON
import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore
@testable import AnalyticsMongoDB

/// A store and a queue that an earlier version wrote (`Tests/Fixtures/make-fixtures.py`), and what is in them.
struct StoreFixture {
    struct Count: Decodable {
        private var project: String
        var minute: Int64
        var type: String
        var source: String
        var count: Int64

        var projectID: ProjectID { ProjectID(project)! }
    }

    struct Expected: Decodable {
        /// When it was made, a whole hour.
        var now: Int64
        /// Events before it were deleted.
        var deletedBefore: Int64
        var stored: [Count]
        var queued: [Count]
    }

    let folder: URL
    let expected: Expected

    init(version: Int, _ backend: StoreBackend, isFolded: Bool = false) throws {
        folder =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appending(path: "../Fixtures/v\(version)/\(isFolded ? "folded/" : "")\(backend.rawValue)").standardizedFileURL
        expected = try JSONDecoder().decode(Expected.self, from: Data(contentsOf: folder.appending(path: "expected.json")))
    }

    /// The store's counts of a project, all minutes together.
    func counts(of project: ProjectID) -> Counts? {
        var sums: [BytewiseString: Int64] = [:]
        for count in expected.stored where count.projectID == project { sums[BytewiseString(count.type), default: 0] += count.count }
        return Counts(exact: sums.map { ($0, $1) })
    }

    func counts(_ query: CountQuery) -> Counts? {
        var sums: [BytewiseString: Int64] = [:]
        for count in expected.stored where count.projectID == query.project {
            guard query.types.isEmpty || query.types.contains(count.type), query.sources.isEmpty || query.sources.contains(count.source),
                query.from.map({ count.minute >= $0.minute }) ?? true, query.to.map({ count.minute < $0.minute }) ?? true
            else { continue }
            sums[BytewiseString(query.grouping == .type ? count.type : count.source), default: 0] += count.count
        }
        return Counts(exact: sums.map { ($0, $1) }, limit: query.limit)
    }

    var projects: Set<ProjectID> { Set(expected.stored.map(\.projectID)) }

    /// The number of a project's events that were not deleted.
    func kept(of project: ProjectID) -> Int64 {
        let deleted = Timestamp(milliseconds: expected.deletedBefore).minute
        return expected.stored.lazy.filter { $0.projectID == project && $0.minute >= deleted }.map(\.count).reduce(0, +)
    }

    /// The first minute after the last of a project that lost its events.
    func watermark(of project: ProjectID) -> Timestamp? {
        let deleted = Timestamp(milliseconds: expected.deletedBefore).minute
        let last = expected.stored.filter { $0.projectID == project && $0.minute < deleted }.map(\.minute).max()
        return last.map { Timestamp(minute: $0 + 1) }
    }
}

extension MongoStore {
    /// Inserts the lines of a dump, those indexes included that `isIncluded` names.
    func load(_ dump: URL, index isIncluded: @escaping @Sendable (_ name: String) -> Bool) async throws {
        for line in try String(contentsOf: dump, encoding: .utf8).split(separator: "\n") {
            guard case .document(let members) = try BSON(extendedJSON: String(line)), case .string(let collection)? = members["collection"]
            else { throw NotExtendedJSON() }
            let command: [(String, BSON)]
            if case .document(let index)? = members["index"] {
                guard case .string(let name)? = index["name"], isIncluded(name) else { continue }
                command = [("createIndexes", .string(collection)), ("indexes", [.document(index)])]
            } else {
                command = [("insert", .string(collection)), ("documents", .array([try #require(members["document"])]))]
            }
            try await run(.prepare) { session throws(StoreError) in try session.command(command, writes: true) { _ in } }
        }
    }
}

extension [(String, BSON)] {
    fileprivate subscript(key: String) -> BSON? { first { $0.0 == key }?.1 }
}

private struct NotExtendedJSON: Error {}

extension BSON {
    /// MongoDB's canonical Extended JSON, as far as a dump of the service's collections holds it. The order of members is kept.
    fileprivate init(extendedJSON text: String) throws {
        let padded = PaddedBytes(text)
        if var raw = JSONRawMembers(padded, at: padded.all) {
            var members: [(String, BSON)] = []
            while let (key, value) = try raw.next() {
                members.append((padded.string(at: key), try BSON(extendedJSON: padded.string(at: value))))
            }
            self = try Self(members: members)
            return
        }
        if var raw = JSONElements(padded, at: padded.all) {
            var elements: [BSON] = []
            while let element = try raw.next() { elements.append(try BSON(extendedJSON: padded.string(at: element))) }
            self = .array(elements)
            return
        }
        switch try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) {
        case let string as String: self = .string(string)
        case is NSNull: self = .null
        case let boolean as Bool: self = .boolean(boolean)
        default: throw NotExtendedJSON()
        }
    }

    private init(members: [(String, BSON)]) throws {
        guard members.count == 1 else {
            self = .document(members)
            return
        }
        switch members[0] {
        case ("$numberLong", .string(let digits)), ("$numberInt", .string(let digits)): self = .integer(try #require(Int64(digits)))
        case ("$date", .integer(let milliseconds)): self = .date(Timestamp(milliseconds: milliseconds))
        default: self = .document(members)
        }
    }
}
