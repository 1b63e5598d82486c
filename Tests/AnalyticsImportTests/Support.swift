import Foundation
import Synchronization

@testable import AnalyticsImport

/// Stores events by their ids, as the service does; dies when it is told to.
final class FakeService: ImportTransport {
    struct State {
        /// Events by id, and how often each was sent.
        var stored: [String: [UInt8]] = [:]
        var posts: [[[UInt8]]] = []
        /// Posts until it answers nothing any more.
        var postsLeft = Int.max
        /// Whether the post that is not answered was stored all the same.
        var storesUnanswered = false
        var maximumBodyBytes = Int.max
    }

    private let state = Mutex(State())

    func with<R>(_ body: (inout sending State) -> sending R) -> R { state.withLock(body) }

    var stored: [String: [UInt8]] { with { $0.stored } }
    var sent: [[UInt8]] { with { $0.posts.flatMap { $0 } } }

    func post(_ events: [[UInt8]]) async throws -> ImportResponse {
        try state.withLock { state in
            guard state.postsLeft > 0 else {
                if state.storesUnanswered { _ = Self.store(events, &state) }
                throw ImportFailure("killed")
            }
            state.postsLeft -= 1
            state.posts.append(events)
            guard events.reduce(0, { $0 + $1.count + 1 }) <= state.maximumBodyBytes else {
                return ImportResponse(status: 413, detail: "big")
            }
            return Self.store(events, &state)
        }
    }

    private static func store(_ events: [[UInt8]], _ state: inout State) -> ImportResponse {
        var answer = ImportResponse(status: 200, accepted: 0, duplicates: 0, rejected: [])
        for (index, text) in events.enumerated() {
            guard let object = try? JSONSerialization.jsonObject(with: Data(text)) as? [String: Any], let id = object["id"] as? String
            else {
                answer.rejected?.append(ImportResponse.Refusal(index: index, code: "invalid_json", message: "no event"))
                continue
            }
            answer.accepted! += 1
            if state.stored.updateValue(text, forKey: id) != nil { answer.duplicates! += 1 }
        }
        return answer
    }
}

/// An input, the state beside it, and what an import of it says.
final class ImportRig: Sendable {
    let service = FakeService()
    let lines = Mutex<[String]>([])
    let state = Mutex<Data?>(nil)
    /// How often the state may be written before that fails.
    let writesLeft = Mutex(Int.max)
    let input = Mutex<[UInt8]>([])

    init(_ text: String = "") {
        set(text)
    }

    func set(_ text: String) { input.withLock { $0 = Array(text.utf8) } }
    func append(_ text: String) { input.withLock { $0 += Array(text.utf8) } }
    var said: [String] { lines.withLock { $0 } }
    var savedState: ImportState? { state.withLock { data in data.flatMap { try? JSONDecoder().decode(ImportState.self, from: $0) } } }

    /// One run of `analytics import`; an end in the middle is thrown.
    @discardableResult
    func run(
        _ format: ImportFormat = .lines, name: String? = nil, fileName: String = "f", url: String = "http://s", mappings: [String] = [],
        batchSize: Int = 7, inFlight: Int = 3, chunk: Int = 1 << 16, restarts: Bool = false, transport: (any ImportTransport)? = nil
    ) async throws -> ImportTally {
        lines.withLock { $0 = [] }
        let bytes = input.withLock { $0 }
        let offset = Mutex(0)
        let options = FileImport.Options(
            file: fileName, name: name, fileName: fileName, url: url, format: format, mappings: mappings, batchSize: batchSize,
            inFlight: inFlight, restarts: restarts)
        return try await FileImport(
            options,
            source: {
                offset.withLock { start in
                    let end = min(start + chunk, bytes.count)
                    defer { start = end }
                    return Array(bytes[start..<end])
                }
            },
            sender: BatchSender(transport ?? service, attempts: 3, pause: { _ in }),
            state: ImportStateFile(
                name: "f.import", read: { [self] in state.withLock { $0 } },
                write: { [self] data in
                    try writesLeft.withLock { left in
                        guard left > 0 else { throw ImportFailure("killed") }
                        left -= 1
                    }
                    state.withLock { $0 = data }
                }),
            console: ImportConsole(line: { [self] line in lines.withLock { $0.append(line) } }, progress: { _ in })
        ).run()
    }

    /// The failure of a run that has to end with one.
    func failure(_ body: (ImportRig) async throws -> Void) async -> String {
        do { try await body(self) } catch let failure as ImportFailure { return failure.description } catch {
            return "unexpected: \(error)"
        }
        return "no failure"
    }
}

/// Lines without ids, many of them the same.
func events(_ range: Range<Int>, lineBreak: String = "\n") -> String {
    range.map { #"{"type":"t","source":"s","data":\#($0 % 3)}"# + lineBreak }.joined()
}
