/// Growing pauses between attempts: from 50 ms to 5 s, doubled each time, with ±25 % jitter.
struct Backoff {
    private var pause: Duration = .milliseconds(50)

    mutating func next() -> Duration {
        defer { pause = min(pause * 2, .seconds(5)) }
        return pause * Double.random(in: 0.75...1.25)
    }
}
