import TestSupport
import Testing

@testable import AnalyticsCore

struct CivilMonthTests {
    @Test(arguments: ["0001-01", "1969-12", "1970-01", "2024-02", "2026-03", "9999-12"])
    func aMonthIsWrittenAsItIsRead(text: String) throws {
        let month = try #require(CivilMonth(text))
        #expect(month.text == text)
        #expect(Timestamp(day: month.days.lowerBound).date == text + "-01")
        #expect(CivilMonth(of: Timestamp(day: month.days.upperBound - 1)) == month)
        #expect(CivilMonth(of: Timestamp(day: month.days.lowerBound)) == month)
    }

    @Test(arguments: [
        "", "2026", "2026-3", "2026-00", "2026-13", "0000-01", "10000-01", "2026-03-01", "2026/03", "-026-03", "2026-0३", " 2026-03",
        "2026-03\n",
    ])
    func everythingElseIsNoMonth(text: String) { #expect(CivilMonth(text) == nil) }

    @Test func monthsAreCountedAcrossYearsAndEndWithTheYears() throws {
        let month = try #require(CivilMonth("2024-12"))
        #expect(month.advanced(by: 2).text == "2025-02" && month.advanced(by: -12).text == "2023-12")
        #expect(month.advanced(by: -23).distance(to: month) == 23 && month.advanced(by: 1).days.count == 31)
        #expect(CivilMonth("2024-02")?.days.count == 29 && CivilMonth("2023-02")?.days.count == 28)
        #expect(month.advanced(by: 1_000_000).text == "9999-12" && month.advanced(by: -1_000_000).text == "0001-01")
        #expect(
            CivilMonth(of: Timestamp(milliseconds: .max)).text == "9999-12"
                && CivilMonth(of: Timestamp(milliseconds: .min)).text == "0001-01")
    }

    @Test func aQuestionHasTwelveMonthsUnlessItNamesOthers() throws {
        func months(_ from: String?, _ to: String?) -> [String]? {
            UsageQuery(project: "p", from: from.flatMap { CivilMonth($0) }, to: to.flatMap { CivilMonth($0) }, at: noon)
                .map { [$0.months.lowerBound.text, $0.months.upperBound.text] }
        }
        #expect(months(nil, nil) == ["2025-04", "2026-03"])
        #expect(months("2026-03", nil) == ["2026-03", "2026-03"] && months("2026-04", nil) == nil)
        #expect(months(nil, "2020-01") == ["2019-02", "2020-01"] && months(nil, "0001-02") == ["0001-01", "0001-02"])
        #expect(months("2016-04", nil) == ["2016-04", "2026-03"] && months("2016-03", nil) == nil, "120 months")
        #expect(months("9999-12", "9999-12") == ["9999-12", "9999-12"])
    }
}
