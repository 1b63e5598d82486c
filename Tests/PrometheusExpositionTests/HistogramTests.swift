import CoreMetrics
import PrometheusExposition
import Testing

@Suite("Histograms")
struct HistogramTests {
    @Test("buckets are cumulative, bounds are inclusive, +Inf equals the count")
    func cumulative() {
        let exposition = Exposition([MetricDescriptor(name: "size", kind: .histogram, help: "Size.", buckets: [1, 2.5, 10])])
        let recorder = exposition.recorder("size")
        for value in [0.5, 1, 1.1, 2.5, 10, 10.5, -3] { recorder.record(value) }
        #expect(
            exposition.lines("size") == [
                #"size_bucket{le="1"} 3"#,
                #"size_bucket{le="2.5"} 5"#,
                #"size_bucket{le="10"} 6"#,
                #"size_bucket{le="+Inf"} 7"#,
                "size_sum 22.6",
                "size_count 7",
            ]
        )
    }

    @Test("labels come before the bound")
    func labels() {
        let exposition = Exposition([MetricDescriptor(name: "size", kind: .histogram, help: "Size.", buckets: [1])])
        exposition.recorder("size", [("route", "/"), ("le", "mine")]).record(1)
        #expect(
            exposition.lines("size") == [
                #"size_bucket{exported_le="mine",route="/",le="1"} 1"#,
                #"size_bucket{exported_le="mine",route="/",le="+Inf"} 1"#,
                #"size_sum{exported_le="mine",route="/"} 1"#,
                #"size_count{exported_le="mine",route="/"} 1"#,
            ]
        )
    }

    @Test("a timer is exposed in seconds; a clock set back counts as zero")
    func timer() {
        let exposition = Exposition([MetricDescriptor(name: "run_seconds", kind: .histogram, help: "Run.", buckets: [0.1, 1])])
        let timer = exposition.timer("run_seconds")
        timer.recordMilliseconds(100)
        timer.recordMilliseconds(1_500)
        timer.recordNanoseconds(-1)
        #expect(exposition.value(#"run_seconds_bucket{le="0.1"}"#) == "2")
        #expect(exposition.value(#"run_seconds_bucket{le="1"}"#) == "2")
        #expect(exposition.value("run_seconds_count") == "3")
        #expect(exposition.value("run_seconds_sum") == "1.6")
    }

    @Test("a value that is not finite does not spoil the sum")
    func notFinite() {
        let exposition = Exposition()
        let recorder = exposition.recorder("size")
        for value in [Double.nan, .infinity, -.infinity, 2] { recorder.record(value) }
        #expect(exposition.value("size_sum") == "2")
        #expect(exposition.value("size_count") == "1")
    }

    @Test("declared bounds are sorted, and repeated or infinite ones left out")
    func bounds() {
        let exposition = Exposition([
            MetricDescriptor(name: "size", kind: .histogram, help: "Size.", buckets: [5, 1, 5, .infinity, .nan])
        ])
        exposition.recorder("size").record(3)
        #expect(
            exposition.lines("size_bucket") == [
                #"size_bucket{le="1"} 0"#, #"size_bucket{le="5"} 1"#, #"size_bucket{le="+Inf"} 1"#,
            ]
        )
    }
}
