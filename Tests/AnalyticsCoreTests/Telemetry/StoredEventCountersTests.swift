import CoreMetrics
import MetricsTestKit
import Testing

@testable import AnalyticsCore

struct StoredEventCountersTests {
    private func kind(_ project: String, _ type: String) -> StoredEventLabels.Kind { .init(project: project, type: BytewiseString(type)) }

    @Test func `a project's types beyond the bound are the others, and those that were there stay`() {
        var labels = StoredEventLabels()
        for number in 0..<StoredEventLabels.maximumTypes { #expect(labels.label(of: kind("a", "t\(number)")) == kind("a", "t\(number)")) }
        #expect(labels.label(of: kind("a", "more")) == kind("a", "other"))
        #expect(labels.label(of: kind("a", "t0")) == kind("a", "t0"))
        #expect(labels.label(of: kind("b", "more")) == kind("b", "more"))
    }

    @Test func `projects beyond the bound are one`() {
        var labels = StoredEventLabels()
        for number in 0..<StoredEventLabels.maximumProjects { _ = labels.label(of: kind("p\(number)", "t")) }
        #expect(labels.label(of: kind("more", "t")) == kind("other", "other"))
        #expect(labels.label(of: kind("p0", "u")) == kind("p0", "u"))
    }

    @Test func `there are never more series than are said`() {
        var labels = StoredEventLabels()
        var series: Set<StoredEventLabels.Kind> = []
        for project in 0..<150 {
            for type in 0..<80 { series.insert(labels.label(of: kind("p\(project)", "t\(type)"))) }
        }
        #expect(series.count == StoredEventLabels.maximumSeries)
    }

    @Test func `a series counts all events of its kind`() throws {
        let metrics = TestMetrics()
        let counters = StoredEventCounters { kind in
            MetricCatalogue.metrics.eventsStoredByType.make(kind.project, kind.type.text, factory: metrics)
        }
        for _ in 0..<3 { counters.add([kind("a", "t"): 2, kind("a", "u"): 1]) }
        let name = "analytics_events_stored_by_type_total"
        #expect(try metrics.expectCounter(name, [("project", "a"), ("type", "t")]).totalValue == 6)
        #expect(try metrics.expectCounter(name, [("project", "a"), ("type", "u")]).totalValue == 3)
    }
}
