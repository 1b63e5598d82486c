import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AnalyticsImport

/// Imports of random files, which grow, killed at random moments and gone on with in other batches.
@Suite struct ImportPropertyTests {
    @Test("What is sent is a function of the file and the name alone, whatever happened on the way", arguments: 0..<500)
    func killedAnywhere(_ seed: Int) async throws {
        var random = Seeded(UInt64(seed))
        var file = RandomFile(isTable: random.below(3) == 0, &random)
        let rig = ImportRig(file.text)
        for _ in 0..<random.below(8) {
            rig.service.with {
                $0.postsLeft = random.below(12)
                $0.storesUnanswered = random.below(2) == 0
            }
            rig.writesLeft.withLock { $0 = random.below(12) }
            let failure = await rig.failure { try await Self.run($0, file, &random) }
            #expect(failure == "no failure" || failure.hasSuffix("killed"), "\(failure)")
            if random.below(2) == 0 { file.grow(&random) }
            rig.set(file.text)
        }
        rig.service.with { $0.postsLeft = .max }
        rig.writesLeft.withLock { $0 = .max }
        try await Self.run(rig, file, &random)

        let clean = ImportRig(file.text)
        try await Self.run(clean, file, &random)
        #expect(rig.service.stored == clean.service.stored)
        #expect(Set(rig.service.sent) == Set(clean.service.sent))
        #expect(clean.service.stored.count == file.withoutID + file.ids.count)
        #expect(rig.savedState?.identity == clean.savedState?.identity && rig.savedState?.events == clean.savedState?.events)
        #expect(try await Self.run(rig, file, &random) == ImportTally())
    }

    @discardableResult
    private static func run(_ rig: ImportRig, _ file: RandomFile, _ random: inout Seeded) async throws -> ImportTally {
        try await rig.run(
            file.isTable ? .csv(separator: UInt8(ascii: ",")) : .lines, mappings: ["type={what}", "source=s", "id={key}"],
            batchSize: 1 + random.below(9), inFlight: 1 + random.below(4), chunk: 1 + random.below(60))
    }
}

private struct RandomFile {
    let isTable: Bool
    private(set) var text = ""
    /// Events without an id, and the ids of the others.
    private(set) var withoutID = 0
    private(set) var ids: Set<String> = []

    init(isTable: Bool, _ random: inout Seeded) {
        self.isTable = isTable
        if random.below(4) == 0 { text = "\u{FEFF}" }
        if isTable { text += "key,what\n" }
        grow(&random)
    }

    /// Adds lines, of which the last may go without its line break.
    mutating func grow(_ random: inout Seeded) {
        let lineBreak = random.below(2) == 0 ? "\n" : "\r\n"
        if let last = text.utf8.last, last != 0x0A, last != 0xBF { text += lineBreak }
        for _ in 0..<random.below(30) { text += line(&random) + lineBreak }
        if random.below(3) == 0 { text += line(&random) }
    }

    private mutating func line(_ random: inout Seeded) -> String {
        let kind = random.below(10)
        let value = random.below(4)
        switch kind {
        case 0: return isTable ? "" : ["", "  ", "\t"][value % 3]
        case 1 where !isTable: return ["[]", "{\"a\":", "\"id\"", "{}}"][value]
        case 2:
            ids.insert("é\(value)")
            return isTable ? "é\(value),x" : "{\"data\":1,\"id\":\"é\(value)\"}"
        case 3:
            withoutID += 1
            return isTable ? ",\"x\n\(value)\"\"\"" : "{\"id\":null,\"data\":\(value)}"
        default:
            withoutID += 1
            return isTable ? ",\(value)x" : "{\"data\":\(value)}"
        }
    }
}
