import Synchronization

/// A `Double` to which many threads can add without a lock.
struct AtomicDouble: ~Copyable, Sendable {
    private let bits: Atomic<UInt64>

    init(_ value: Double = 0) {
        bits = Atomic(value.bitPattern)
    }

    borrowing func load() -> Double {
        Double(bitPattern: bits.load(ordering: .relaxed))
    }

    borrowing func store(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    borrowing func add(_ amount: Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: current) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: current, desired: next, ordering: .relaxed)
            if exchanged { return }
            current = original
        }
    }
}
