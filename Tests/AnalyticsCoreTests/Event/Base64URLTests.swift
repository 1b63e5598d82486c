import Testing

@testable import AnalyticsCore

struct Base64URLTests {
    @Test(
        arguments: zip(
            [[], [0], [0xFB], [0xFB, 0xFF], [0xFB, 0xFF, 0xBF], Array("any carnal pleas".utf8)] as [[UInt8]],
            ["", "AA", "-w", "-_8", "-_-_", "YW55IGNhcm5hbCBwbGVhcw"]))
    func bytesAndTheirTextAreThoseOfTheStandard(bytes: [UInt8], text: String) {
        #expect(Base64URL.encode(bytes) == text)
        #expect(Base64URL.decode(text) == bytes)
    }

    @Test(arguments: ["A", "AAAAA", "AA\n", " AA", "A?==", "é"]) func otherTextsHaveNoBytes(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }
}
