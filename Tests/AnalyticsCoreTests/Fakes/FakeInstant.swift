/// Time that tests set.
struct FakeInstant: InstantProtocol {
    var offset: Duration = .zero

    func advanced(by duration: Duration) -> FakeInstant { FakeInstant(offset: offset + duration) }
    func duration(to other: FakeInstant) -> Duration { other.offset - offset }
    static func < (a: FakeInstant, b: FakeInstant) -> Bool { a.offset < b.offset }
    static func at(_ milliseconds: Int) -> FakeInstant { FakeInstant(offset: .milliseconds(milliseconds)) }
}
