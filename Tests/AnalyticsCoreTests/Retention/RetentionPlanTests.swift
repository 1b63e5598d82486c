import TestSupport
import Testing

@testable import AnalyticsCore

struct RetentionPlanTests {
    private static let day = Duration.seconds(86_400)
    private let record = ProjectRecord(project: "p", retentionDays: 30)

    @Test func closesWholeHoursAMarginOfSevenDaysAfterTheRetention() {
        #expect(RetentionPlan.close(record, at: noon) == noon - Self.day * 37)
        #expect(RetentionPlan.close(record, at: noon + .seconds(3_599)) == noon - Self.day * 37)
        #expect(RetentionPlan.close(record, at: noon + .seconds(3_600)) == noon - Self.day * 37 + .seconds(3_600))
        // Before 1970 down is down, too.
        #expect(RetentionPlan.close(record, at: Timestamp(milliseconds: 1)) == Timestamp(milliseconds: 0) - Self.day * 37)
    }

    @Test(arguments: [nil, 0, -1])
    func closesNothingWithoutARetention(days: Int?) {
        var record = record
        record.retentionDays = days
        #expect(RetentionPlan.close(record, at: noon) == nil)
    }

    @Test func doesNotOverflowWhateverStandsInTheStore() {
        var record = record
        record.retentionDays = .max
        #expect(RetentionPlan.close(record, at: noon) == noon - Self.day * (RetentionPlan.maximumDays + 7))
        record.watermark = Timestamp(milliseconds: .max)
        #expect(record.firstWholeMinute > noon.minute)
    }

    @Test func closedTimeOnlyRises() {
        var record = record
        record.closedBefore = noon - Self.day * 37
        #expect(RetentionPlan.close(record, at: noon) == nil)
        record.closedBefore = noon
        #expect(RetentionPlan.close(record, at: noon) == nil)
        record.closedBefore = noon - Self.day * 38
        #expect(RetentionPlan.close(record, at: noon) == noon - Self.day * 37)
    }

    @Test func aNewRetentionWaitsForHalfAMinute() {
        var record = record
        #expect(!RetentionPlan.isTooNew(record, at: noon))
        record.changedAt = noon
        #expect(RetentionPlan.isTooNew(record, at: noon + .seconds(29)))
        #expect(!RetentionPlan.isTooNew(record, at: noon + .seconds(30)))
        #expect(RetentionPlan.grace > ProjectFollower.interval * 1.25)
    }

    @Test func theWatermarkRisesToClosedTimeButNotPastAMarkedMinute() {
        var record = record
        #expect(RetentionPlan.raise(record, oldestMarked: nil) == nil, "nothing is closed")
        record.closedBefore = noon
        #expect(RetentionPlan.raise(record, oldestMarked: nil) == noon)
        #expect(RetentionPlan.raise(record, oldestMarked: noon.minute) == noon)
        #expect(RetentionPlan.raise(record, oldestMarked: noon.minute + 5) == noon)
        #expect(RetentionPlan.raise(record, oldestMarked: noon.minute - 5) == noon - .seconds(300))
        record.watermark = noon - .seconds(300)
        #expect(RetentionPlan.raise(record, oldestMarked: noon.minute - 5) == nil)
        #expect(RetentionPlan.raise(record, oldestMarked: noon.minute - 9) == nil)
        record.watermark = noon
        #expect(RetentionPlan.raise(record, oldestMarked: nil) == nil)
    }

    @Test func aMinuteThatAWatermarkCutsIsNotWhole() {
        let record = ProjectRecord(project: "p", closedBefore: noon + .milliseconds(1), watermark: noon + .seconds(59))
        #expect(record.firstWholeMinute == noon.minute + 1 && record.firstOpenMinute == noon.minute + 1)
        #expect(ProjectRecord(project: "p").firstWholeMinute == .min)
        #expect(ProjectRecord(project: "p", watermark: Timestamp(milliseconds: -60_000)).firstWholeMinute == -1)
    }
}
