import Testing

@testable import analytics

struct DescriptorLimitTests {
    @Test(arguments: [(1_048_576, 4_096), (4_096 + 256 + 8, 4_096), (4_096, 3_832), (1_024, 760), (256, 128)])
    func connectionsLeaveDescriptorsForAllElse(descriptors: Int, connections: Int) {
        #expect(DescriptorLimit.connections(of: descriptors, processors: 2) == connections)
    }

    @Test func itIsRaisedAsFarAsItMay() {
        let raised = DescriptorLimit.raise()
        #expect(raised >= 256 && DescriptorLimit.raise() == raised)
    }
}
