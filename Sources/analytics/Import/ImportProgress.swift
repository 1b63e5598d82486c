internal import Foundation

/// What an import has done so far, and the file that lets it go on after an end in the middle.
struct ImportTally: Codable, Equatable {
    var accepted = 0
    var duplicates = 0
    var rejected = 0

    static func += (a: inout ImportTally, b: ImportTally) {
        a.accepted += b.accepted
        a.duplicates += b.duplicates
        a.rejected += b.rejected
    }
}

/// Which records are settled: everything before `settled`, so that an import that goes on skips exactly those. A state machine.
struct ImportLedger: Codable, Equatable {
    /// Names the file and the mapping; a state of another import is not gone on with.
    var identity: String
    private(set) var settled = 0
    private(set) var tally = ImportTally()
    /// Batches that are settled while one before them is not, by their first record.
    private var ahead: [Int: Ahead] = [:]

    private struct Ahead: Codable, Equatable {
        var count: Int
        var tally: ImportTally
    }

    init(identity: String) {
        self.identity = identity
    }

    mutating func settle(first: Int, count: Int, _ tally: ImportTally) {
        ahead[first] = Ahead(count: count, tally: tally)
        while let next = ahead.removeValue(forKey: settled) {
            settled += next.count
            self.tally += next.tally
        }
    }

    /// What is not settled without a gap is sent again; ids make that harmless.
    func saved() -> ImportLedger {
        var ledger = self
        ledger.ahead = [:]
        return ledger
    }

    static func load(_ path: String, identity: String) -> ImportLedger? {
        guard let data = FileManager.default.contents(atPath: path), let ledger = try? JSONDecoder().decode(ImportLedger.self, from: data),
            ledger.identity == identity
        else { return nil }
        return ledger
    }

    func save(_ path: String) throws {
        try JSONEncoder().encode(saved()).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}

/// The line that says how far it is.
struct ProgressLine {
    let totalBytes: Int?
    let start = ContinuousClock.now

    func text(events: Int, bytes: Int) -> String {
        let seconds = max(0.001, (ContinuousClock.now - start) / .seconds(1))
        var text = "\(events) events, \(Int(Double(events) / seconds)) events/s"
        if let totalBytes, bytes > 0, totalBytes > 0 {
            let share = min(1, Double(bytes) / Double(totalBytes))
            let left = Int((seconds / share - seconds).rounded(.up))
            text += ", \(Int(share * 100)) %, \(left / 60):\(left % 60 < 10 ? "0" : "")\(left % 60) left"
        }
        return text
    }
}
