internal import Synchronization

/// True for the first who asks.
package final class Once: Sendable {
    private let taken = Mutex(false)

    package init() {}

    package func claim() -> Bool {
        taken.withLock { taken in
            defer { taken = true }
            return !taken
        }
    }
}

/// A number that closures share.
package final class Counting: Sendable {
    private let number = Mutex(0)

    package init() {}

    package var value: Int { number.withLock { $0 } }

    @discardableResult
    package func next() -> Int {
        number.withLock { number in
            number += 1
            return number
        }
    }
}

package final class Flag: Sendable {
    private let state = Mutex(false)

    package init() {}

    package var isTaken: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// Values that closures add.
package final class Recorded<Value: Sendable>: Sendable {
    private let state = Mutex<[Value]>([])

    package init() {}

    package var values: [Value] { state.withLock { $0 } }
    package func append(_ value: Value) { state.withLock { $0.append(value) } }
}
