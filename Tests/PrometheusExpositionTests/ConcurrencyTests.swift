import CoreMetrics
import PrometheusExposition
import Testing

@Suite("Concurrency")
struct ConcurrencyTests {
    @Test("nothing recorded by many tasks at once is lost, whether or not they keep their instruments")
    func nothingIsLost() async {
        let exposition = Exposition([MetricDescriptor(name: "size", kind: .histogram, help: "Size.", buckets: [1, 2])])
        let fractions = exposition.factory.makeFloatingPointCounter(label: "fractions", dimensions: [])
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    let kept = exposition.counter("kept")
                    let recorder = exposition.recorder("size")
                    for round in 0..<2_000 {
                        kept.increment()
                        fractions.increment(by: 0.5)
                        recorder.record(Double(round % 3) + 0.5)
                        exposition.counter("made", [("task", "\(task)")]).increment()
                    }
                }
            }
        }
        #expect(exposition.value("kept_total") == "16000")
        #expect(exposition.value("fractions_total") == "8000")
        #expect(exposition.value("size_count") == "16000")
        #expect(exposition.value("size_sum") == "23992")
        #expect(exposition.lines("made_total").count == 8)
        #expect(exposition.lines("made_total").allSatisfy { $0.hasSuffix(" 2000") })
    }

    @Test("additions that meet on one value are both made")
    func contention() async {
        let exposition = Exposition()
        let fractions = exposition.factory.makeFloatingPointCounter(label: "fractions", dimensions: [])
        let timer = exposition.timer("wait")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<100_000 {
                        fractions.increment(by: 0.5)
                        timer.recordSeconds(1)
                    }
                }
            }
        }
        #expect(exposition.value("fractions_total") == "200000")
        #expect(exposition.value("wait_seconds_sum") == "400000")
    }

    @Test("a histogram that is scraped while it is recorded to agrees with itself")
    func consistentWhileRecording() async throws {
        let exposition = Exposition([MetricDescriptor(name: "size", kind: .histogram, help: "Size.", buckets: [1, 2, 3])])
        let recorder = exposition.recorder("size")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for round in 0..<20_000 { recorder.record(round % 4) }
                }
            }
            group.addTask {
                for _ in 0..<200 {
                    let lines = exposition.lines("size")
                    let counts = try lines.filter { $0.hasPrefix("size_bucket") }.map { try #require(UInt64($0.split(separator: " ")[1])) }
                    #expect(counts == counts.sorted())
                    #expect(lines.last == "size_count \(counts.last ?? 0)")
                }
            }
            try await group.waitForAll()
        }
        #expect(exposition.value("size_count") == "80000")
    }

    @Test("the label limit holds when many tasks reach it at once")
    func limitHolds() async {
        let exposition = Exposition(limits: .init(seriesPerMetric: 10))
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for round in 0..<100 { exposition.counter("events_total", [("id", "\(task)-\(round)")]).increment() }
                }
            }
        }
        let lines = exposition.lines("events_total")
        #expect(lines.count == 11)
        #expect(lines.compactMap { UInt64($0.split(separator: " ")[1]) }.reduce(0, +) == 800)
    }
}
