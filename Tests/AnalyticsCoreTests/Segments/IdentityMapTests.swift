import TestSupport
import Testing

@testable import AnalyticsCore

struct IdentityMapTests {
    private func link(_ time: UInt32, _ anonymous: String, _ user: String) -> IdentityLink {
        IdentityLink(time: time, anonymous: ActorKey(.anonymous, anonymous), user: BytewiseString(user))
    }

    private func user(_ anonymous: String, _ days: [(day: Int64, links: [IdentityLink])]) -> ActorKey {
        IdentityMap(days).actor(ActorKey(.anonymous, anonymous))
    }

    @Test func anAnonymousIdBelongsToTheUserOfTheEarliest() {
        let links = [link(5, "d", "bob"), link(4, "d", "zoe"), link(6, "d", "ann")]
        for _ in 0..<5 { #expect(user("d", [(3, links.shuffled())]) == ActorKey(.user, "zoe")) }
        #expect(user("d", [(3, links), (2, [link(9, "d", "carl")])]) == ActorKey(.user, "carl"))
        #expect(user("e", [(3, links)]) == ActorKey(.anonymous, "e"))
    }

    @Test func atOneMomentTheSmallestBytesDecide() {
        #expect(user("d", [(1, [link(4, "d", "é"), link(4, "d", "e\u{301}")])]) == ActorKey(.user, "e\u{301}"))
        #expect(user("d", [(1, [link(4, "d", "b"), link(4, "d", "B"), link(4, "d", "aa")])]) == ActorKey(.user, "B"))
    }

    @Test func oneUserMayHaveMany() {
        let map = IdentityMap([(1, [link(1, "d1", "ann"), link(2, "d2", "ann")])])
        let (ann, other) = (ActorKey(.user, "ann"), ActorKey(.user, "d1"))
        #expect(map.isMerged(ann) && map.isMerged(ActorKey(.anonymous, "d1")) && map.isMerged(ActorKey(.anonymous, "d2")))
        // A user of the same text is somebody else.
        #expect(!map.isMerged(other) && map.actor(other) == other)
    }

    @Test func theDigestIsThatOfWhoBelongsToWhom() {
        func digest(_ links: [IdentityLink]) -> Int64 { IdentityMap([(1, links)]).digest }
        let links = [link(1, "d1", "ann"), link(2, "d2", "bob"), link(3, "d1", "carl")]
        #expect(digest(links) == digest(links.reversed()) && digest(links) == digest(Array(links.prefix(2))))
        #expect(digest(links) != digest([link(1, "d1", "bob"), link(2, "d2", "ann")]))
        #expect(digest(links) != digest([links[0]]) && IdentityMap.empty.digest == 0)
    }
}
