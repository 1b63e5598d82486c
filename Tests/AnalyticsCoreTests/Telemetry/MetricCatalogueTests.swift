import Foundation
import Testing

@testable import AnalyticsCore

struct MetricCatalogueTests {
    @Test func docsListEachMetricWithItsKindAndLabels() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
        let lines = try String(contentsOf: root.appending(path: "docs/metrics.md"), encoding: .utf8).components(separatedBy: "\n")
        let rows = lines.filter { $0.starts(with: "| `") }
        let expected = MetricCatalogue.all.map { metric in
            let kind =
                switch metric.kind {
                case .counter: "counter"
                case .gauge: "gauge"
                case .histogram: "histogram"
                }
            return "| `\(metric.name)` | \(kind) | \(metric.labels.joined(separator: ", ")) | \(metric.help) |"
        }
        #expect(rows == expected)
    }

    @Test func theCatalogueFindsEachOfItsMetrics() {
        let names = MetricCatalogue.all.map(\.name)
        #expect(names.count == Mirror(reflecting: MetricCatalogue.metrics).children.count && Set(names).count == names.count)
        for metric in MetricCatalogue.all {
            // What Prometheus expects of names.
            if case .counter = metric.kind { #expect(metric.name.utf8.suffix(6).elementsEqual("_total".utf8)) }
        }
    }
}
