import TestSupport
import Testing

@testable import AnalyticsCore

struct PipelineBalanceTests {
    private static let minute = noon.minute

    private static func cell(_ offset: Int64, _ writer: String, _ edit: (inout PipelineCounts) -> Void) -> PipelineCell {
        var counts = PipelineCounts()
        edit(&counts)
        return PipelineCell(project: Project.default, minute: minute + offset, writer: writer, revision: 1, counts: counts)
    }

    private static func balance(_ cells: [PipelineCell], last: Int64 = 60, asOf: Timestamp = noon + .seconds(3_600)) -> PipelineBalance {
        PipelineBalance(cells, range: minute..<minute + last, asOf: asOf)
    }

    @Test func whatSeveralProcessesHaveCountedIsAddedByMinute() {
        let balance = Self.balance([
            Self.cell(0, "api 1") { ($0.accepted, $0.rejected, $0.first) = (70, [.invalidType: 2], noon) },
            Self.cell(0, "api 2") { ($0.accepted, $0.rejected, $0.first) = (30, [.invalidType: 1, .tooDeep: 4], noon + .seconds(2)) },
            Self.cell(0, "processor 1") { ($0.stored, $0.duplicates, $0.through) = (60, 10, noon + .seconds(50)) },
            Self.cell(0, "processor 2") { ($0.deadLettered, $0.erased, $0.through) = (20, 3, noon + .seconds(40)) },
            Self.cell(1, "api 1") { $0.accepted = 5 }, Self.cell(1, "processor 1") { $0.stored = 5 },
        ])
        #expect(balance.minutes.map(\.minute) == [Self.minute, Self.minute + 1])
        #expect(balance.minutes[0].counts.accepted == 100 && balance.minutes[0].counts.settled == 93)
        #expect(balance.minutes.map(\.inFlight) == [7, 0] && balance.inFlight == 7)
        #expect(balance.minutes[0].counts.rejected == [.invalidType: 3, .tooDeep: 4])
        #expect(balance.total.accepted == 105 && balance.total.stored == 65)
        #expect(balance.addsUp && balance.missing == 0 && balance.uncounted == 0)
        // The queue is worked off in its order: up to 12:00:50 all is settled.
        #expect(balance.lag == .seconds(3_550))
    }

    /// 5 events at 12:00:00, none until 12:00:40, 3 then; the queue is worked off in its order.
    @Test(arguments: [(0, 3_600), (4, 3_599), (5, 3_560), (7, 3_560), (8, 0)] as [(Int64, Int)])
    func theLagIsThatOfTheFirstEventThatIsNotSettled(settled: Int64, lag: Int) {
        let balance = Self.balance([
            Self.cell(0, "a") { ($0.accepted, $0.first, $0.tens) = (5, noon, [5, 0, 0, 0, 0, 0]) },
            Self.cell(0, "b") { ($0.accepted, $0.first, $0.tens) = (3, noon + .seconds(45), [0, 0, 0, 0, 3, 0]) },
            Self.cell(0, "p") {
                ($0.stored, $0.redelivered, $0.through) = (settled / 2, settled - settled / 2, settled > 0 ? noon + .seconds(1) : nil)
            },
        ])
        #expect(balance.lag == .seconds(lag))
    }

    @Test func nothingIsInFlightOnceAllIsSettled() {
        let balance = Self.balance([Self.cell(0, "a") { $0.accepted = 9 }, Self.cell(0, "p") { ($0.stored, $0.erased) = (8, 1) }])
        #expect(balance.inFlight == 0 && balance.lag == .zero && balance.addsUp)
    }

    /// It may have been counted by the processor that died, and may not.
    @Test func whatWasDeliveredAgainIsNeverSaidToBeMissing() {
        let settled: [(stored: Int64, redelivered: Int64, inFlight: Int64, uncounted: Int64)] = [
            (10, 4, 0, 0), (6, 4, 0, 0), (8, 4, 0, 0), (5, 4, 1, 0), (11, 4, 0, 1),
        ]
        for (stored, redelivered, inFlight, uncounted) in settled {
            let cells = [
                Self.cell(0, "a") { $0.accepted = 10 }, Self.cell(0, "p") { ($0.stored, $0.redelivered) = (stored, redelivered) },
                Self.cell(30, "p") { $0.through = noon + .seconds(1_800) },
            ]
            let balance = Self.balance(cells)
            #expect(balance.minutes[0].inFlight == inFlight && balance.minutes[0].uncounted == uncounted)
            #expect(balance.missing == inFlight && balance.addsUp == (inFlight + uncounted == 0))
        }
    }

    @Test func whatTheBrokerDidNotConfirmMayHaveArrived() {
        for arrived in 0...3 as ClosedRange<Int64> {
            let cells = [
                Self.cell(0, "a") { ($0.accepted, $0.unconfirmed) = (10, 3) }, Self.cell(0, "p") { $0.stored = 10 + arrived },
            ]
            #expect(Self.balance(cells).uncounted == 0 && Self.balance(cells).addsUp)
        }
    }

    /// An API that was killed had not written what it accepted last; one that runs has not yet.
    @Test(arguments: [(59, true), (69, true), (70, false)])
    func whatIsUncountedAddsUpOnlyInMinutesThatHaveJustEnded(seconds: Int, addsUp: Bool) {
        let balance = Self.balance([Self.cell(0, "p") { $0.stored = 2 }], asOf: noon + .seconds(seconds))
        #expect(balance.uncounted == 2 && balance.inFlight == 0 && balance.missing == 0 && balance.addsUp == addsUp)
    }

    @Test(arguments: [(659, 0), (660, 3)] as [(Int, Int64)])
    func isMissingOnceProcessorsHaveOvertakenItByTenMinutes(through: Int, missing: Int64) {
        let cells = [
            Self.cell(0, "a") { ($0.accepted, $0.first) = (3, noon) },
            // Outside of the range, and of another minute.
            Self.cell(90, "p") { $0.through = noon + .seconds(through) },
        ]
        let balance = Self.balance(cells)
        #expect(balance.inFlight == 3 && balance.missing == missing && balance.addsUp == (missing == 0))
        #expect(balance.lag == .seconds(3_600))
    }

    @Test func theLagIsToldOfMinutesThatAreNotListed() {
        let balance = PipelineBalance(
            [Self.cell(-100, "a") { ($0.accepted, $0.first) = (1, noon - .seconds(5_995)) }], range: Self.minute..<Self.minute + 1,
            asOf: noon)
        #expect(balance.minutes.isEmpty && balance.lag == .seconds(5_995) && balance.inFlight == 0)
    }

    @Test func countsAreReadAsTheyWereWritten() throws {
        var counts = PipelineCounts()
        #expect(counts.fields.isEmpty && PipelineCounts(fields: []) == counts)
        (counts.accepted, counts.unconfirmed, counts.stored, counts.duplicates) = (1, 2, 3, 4)
        (counts.deadLettered, counts.erased, counts.redelivered) = (5, 6, 1 << 40)
        (counts.first, counts.through, counts.tens) = (noon, .earliest, [1, 0, 2, 3, 4, 1 << 40])
        for (index, code) in RejectionCode.allCases.enumerated() { counts.rejected[code] = Int64(index + 1) }
        #expect(PipelineCounts(fields: counts.fields) == counts)
        #expect(PipelineCounts(fields: counts.fields + [("of a later version", -1), ("rejected_later", 1), ("accepted_6", 1)]) == counts)
        for field in [("stored", -1), ("accepted", 1 << 40 + 1), ("rejected_too_deep", -1), ("accepted_5", -1), ("through", .max)]
            as [(String, Int64)]
        {
            #expect(PipelineCounts(fields: [(name: field.0, value: field.1)]) == nil, "\(field)")
        }
    }
}
