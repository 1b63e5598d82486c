/// What a process knows of the latch of anonymous access. A state machine without I/O: the times passed in are of an ``ElapsedClock``.
struct LatchState: Sendable {
    enum Step: Sendable {
        case answer(Result<Bool, StoreError>)
        /// Read it from the store, then call ``finish(_:at:)``.
        case read
        /// A read is in flight.
        case wait
    }

    /// Between two reads.
    static let interval: Duration = .seconds(1)
    /// Time limit of a read.
    static let readLimit: Duration = .seconds(2)

    private var isClosed: Bool?
    /// Of the last read, if it failed.
    private var failure: StoreError?
    /// Until then the last answer is used.
    private var nextRead: Duration?
    private var isReading = false

    /// The last value; otherwise the error of the last read.
    var last: Result<Bool, StoreError> {
        if let isClosed { return .success(isClosed) }
        return .failure(failure ?? StoreError(.unavailable, operation: StoreOperation.anonymousAccess.rawValue, "not read yet"))
    }

    mutating func ask(at now: Duration) -> Step {
        if isClosed == true { return .answer(last) }
        if let nextRead, now < nextRead { return .answer(last) }
        if isReading { return .wait }
        isReading = true
        // The last read failed: one request tries again, the others go on with the last answer meanwhile.
        if failure != nil { nextRead = now + Self.readLimit }
        return .read
    }

    mutating func finish(_ result: Result<Bool, StoreError>, at now: Duration) {
        isReading = false
        nextRead = now + Self.interval
        switch result {
        case .success(let read):
            failure = nil
            // Closed is for ever, even if a store that was restored from a backup says otherwise.
            if isClosed != true { isClosed = read }
        case .failure(let error): failure = error
        }
    }
}
