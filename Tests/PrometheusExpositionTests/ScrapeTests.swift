import CoreMetrics
import Synchronization
import Testing

@testable import PrometheusExposition

@Suite("What is read at a scrape")
struct ScrapeTests {
    @Test("a collector is asked once a scrape, and only what it sets then is exposed")
    func collector() {
        let exposition = Exposition([MetricDescriptor(name: "queue_messages", kind: .gauge, help: "Messages.")])
        let scrapes = Mutex(0)
        exposition.registry.onScrape { samples in
            let scrape = scrapes.withLock { count in
                count += 1
                return count
            }
            samples.set("queue_messages", labels: [("scrape", "\(scrape)")], to: Double(scrape))
        }
        #expect(exposition.lines("queue_messages") == [#"queue_messages{scrape="1"} 1"#])
        #expect(exposition.lines("queue_messages") == [#"queue_messages{scrape="2"} 2"#])
        #expect(exposition.lines("# HELP queue_messages") == ["# HELP queue_messages Messages."])
    }

    @Test("a collector may use the registry's own instruments")
    func reentrance() {
        let exposition = Exposition()
        exposition.registry.onScrape { _ in exposition.counter("scrapes").increment() }
        #expect(exposition.value("scrapes_total") == "1")
    }

    @Test("labels set twice are one sample, the later value counts")
    func repeatedLabels() {
        let exposition = Exposition()
        exposition.registry.onScrape { samples in
            samples.set("depth", labels: [("a", "1"), ("b", "2")], to: 1)
            samples.set("depth", labels: [("b", "2"), ("a", "1")], to: 2)
        }
        #expect(exposition.lines("depth") == [#"depth{a="1",b="2"} 2"#])
    }

    @Test("a collector cannot take a name that an instrument has")
    func conflict() {
        let exposition = Exposition()
        exposition.gauge("depth").record(1)
        exposition.registry.onScrape { samples in samples.set("depth", to: 2) }
        #expect(exposition.lines("depth") == ["depth 1"])
    }

    @Test("a collector's series are limited too, and what is left out is counted")
    func limit() {
        let exposition = Exposition(limits: .init(seriesPerMetric: 2))
        exposition.registry.onScrape { samples in
            for index in 0..<5 { samples.set("depth", labels: [("queue", "\(index)")], to: 1) }
        }
        let lines = exposition.registry.renderText().split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("depth{") }.count == 2)
        #expect(lines.contains(#"metrics_refused_total{reason="series_limit"} 3"#))
    }

    @Test("the build is a gauge of 1 whose labels say what runs")
    func buildInfo() {
        let exposition = Exposition()
        exposition.registry.exposeBuildInfo("analytics_build_info", labels: [("version", "1.2.3")])
        #expect(exposition.lines("analytics_build_info") == [#"analytics_build_info{version="1.2.3"} 1"#])
    }

    #if os(Linux)
        @Test("the process' own figures are there and make sense")
        func process() throws {
            let exposition = Exposition()
            exposition.registry.exposeProcessMetrics()
            func figure(_ name: String) throws -> Double { try #require(exposition.value(name).flatMap { Double($0) }, "\(name)") }
            let resident = try figure("process_resident_memory_bytes")
            #expect(resident > 1_000_000)
            #expect(try figure("process_virtual_memory_bytes") >= resident)
            #expect(try figure("process_cpu_seconds_total") >= 0)
            #expect(try figure("process_open_fds") >= 3)
            #expect(try figure("process_max_fds") >= figure("process_open_fds"))
            #expect(try figure("process_start_time_seconds") > 1_577_836_800)
        }
    #endif

    @Test("a command with blanks and parentheses does not shift the fields of /proc/self/stat")
    func processStat() throws {
        let text = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 14 15 16 17 18 19 20 21 22 23000 24 25"
        let stat = try #require(ProcessStat(text))
        #expect(stat.processorTicks == 14 + 15)
        #expect(stat.startTicks == 22)
        #expect(stat.virtualBytes == 23_000)
        #expect(stat.residentPages == 24)
        #expect(ProcessStat("42 (a) S 1") == nil)
    }

    @Test("a process without a limit of descriptors says so")
    func limits() {
        #expect(ProcFiles.maximumDescriptors("Max processes  5  5\nMax open files            1024    4096    files\n") == 1_024)
        #expect(ProcFiles.maximumDescriptors("Max open files            unlimited unlimited files\n") == .infinity)
        #expect(ProcFiles.maximumDescriptors("") == nil)
    }
}
