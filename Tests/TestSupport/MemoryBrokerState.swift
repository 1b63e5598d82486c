internal import AnalyticsCore

extension MemoryBroker {
    struct Message: Sendable {
        /// Its place in the order of publication.
        var number: Int
        var body: [UInt8]
        var redeliveries: Int
    }

    struct Consumer: Sendable {
        var prefetch: Int
        var consumer: QueueConsumer?
        var session: DeliverySession?
        var held = 0
        var hasRoom: Bool { session != nil && held < prefetch }
    }

    struct State: Sendable {
        private(set) var isClosed = false
        private(set) var epoch: UInt64 = 0
        private var tag: UInt64 = 0
        private var published = 0
        /// By number.
        private(set) var ready: [Message] = []
        private(set) var unacknowledged: [UInt64: (message: Message, consumer: Int)] = [:]
        private(set) var consumers: [Int: Consumer] = [:]
        private var lastConsumer = 0
        var dead: [[UInt8]] = []
        private(set) var acknowledged: [[UInt8]] = []
        private(set) var mostHeld = 0
        private(set) var mostBytes = 0
        var idle: [CheckedContinuation<Void, Never>] = []
        var isIdle: Bool { ready.isEmpty && unacknowledged.isEmpty }

        init() {}

        init(reopening state: State) {
            (epoch, tag, published) = (state.epoch, state.tag, state.published)
            (ready, dead) = (state.ready, state.dead)
        }

        func checkOpen() throws(BrokerError) {
            if isClosed { throw BrokerError(.unavailable, "closed") }
        }
    }
}

extension MemoryBroker.State {
    mutating func enqueue(_ body: [UInt8], redeliveries: Int = 0) {
        published += 1
        ready.append(MemoryBroker.Message(number: published, body: body, redeliveries: redeliveries))
    }

    mutating func addConsumer(prefetch: Int) -> Int {
        lastConsumer += 1
        consumers[lastConsumer] = MemoryBroker.Consumer(prefetch: prefetch)
        return lastConsumer
    }

    /// Begins a session of a consumer that is there; false once the broker is closed.
    mutating func begin(_ consumer: QueueConsumer, _ id: Int) -> Bool {
        guard !isClosed else { return false }
        epoch += 1
        consumers[id]?.consumer = consumer
        consumers[id]?.session = consumer.begin(epoch: epoch)
        handOut()
        return true
    }

    mutating func removeConsumer(_ id: Int) {
        consumers[id] = nil
        takeBack { $0 == id }
        handOut()
    }

    /// All connections are lost.
    mutating func disconnect() {
        takeBack { _ in true }
        for id in consumers.keys {
            consumers[id]!.session?.lose()
            consumers[id]!.session = nil
            consumers[id]!.held = 0
        }
    }

    /// Returns the consumers that are to be ended.
    mutating func close() -> [QueueConsumer] {
        isClosed = true
        takeBack { _ in true }
        defer { consumers = [:] }
        return consumers.values.compactMap(\.consumer)
    }

    /// What these consumers hold comes again, before what was published later.
    private mutating func takeBack(from isGone: (_ consumer: Int) -> Bool) {
        for (tag, (message, consumer)) in unacknowledged where isGone(consumer) {
            unacknowledged[tag] = nil
            var message = message
            message.redeliveries += 1
            ready.append(message)
        }
        ready.sort { $0.number < $1.number }
    }

    /// Returns those who wait for an idle broker, if it is idle now.
    mutating func acknowledge(_ handles: [DeliveryHandle]) -> [CheckedContinuation<Void, Never>] {
        for handle in handles {
            guard let (message, consumer) = unacknowledged.removeValue(forKey: handle.tag) else { continue }
            acknowledged.append(message.body)
            consumers[consumer]?.held -= 1
        }
        handOut()
        guard isIdle else { return [] }
        defer { idle = [] }
        return idle
    }

    mutating func handOut() {
        while !ready.isEmpty, let (id, consumer) = consumers.first(where: { $0.value.hasRoom }), let session = consumer.session {
            let message = ready.removeFirst()
            tag += 1
            unacknowledged[tag] = (message, id)
            consumers[id]!.held += 1
            mostHeld = max(mostHeld, consumer.held + 1)
            let handle = DeliveryHandle(epoch: session.epoch, tag: tag)
            let bytes = session.deliver(Delivery(handle: handle, body: message.body, redeliveries: message.redeliveries))
            mostBytes = max(mostBytes, bytes)
        }
    }
}
