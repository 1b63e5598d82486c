/// Gives each user of an answer a small number of its own, so that sets of users are small.
struct UserNumbers: Sendable {
    private struct User: Hashable {
        /// Ids of the two kinds are different users, whatever their text.
        var isKnown: Bool
        var id: BytewiseString
    }

    private var numbers: [User: Int32] = [:]
    private(set) var bytes = 0

    /// The number of an event's user: its user id, else its anonymous id; `nil` where it has neither.
    mutating func number(of event: ScannedEvent) -> Int32? {
        guard let id = event.userId ?? event.anonymousId else { return nil }
        let user = User(isKnown: event.userId != nil, id: BytewiseString(id))
        if let number = numbers[user] { return number }
        let number = Int32(numbers.count)
        numbers[user] = number
        bytes += id.utf8.count + 80
        return number
    }
}
