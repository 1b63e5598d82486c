import AnalyticsCore
import Testing

struct PropertyPathTests {
    @Test func aPathHasARootAndKeys() throws {
        let path = try PropertyPath("data.cart.currency")
        #expect(path.root == .data && path.keys == ["cart", "currency"] && path.text == "data.cart.currency")
        let other = try PropertyPath("context.device")
        #expect(other.root == .context && other.keys == ["device"])
        #expect(try PropertyPath("data.data.context").keys == ["data", "context"])
        #expect(try PropertyPath(.data, "a.b") == PropertyPath("data.a.b"))
    }

    @Test(arguments: [
        "", "data", "data.", "context", "context.", "metadata.a", "Data.a", ".a", "data..a", "data.a.", "data.$a", "data.a.$b",
        "data.a\u{0}",
        "data\u{301}.a", "data.0.1.2.3.4", "data." + Array(repeating: "a", count: 32).joined(separator: "."),
    ])
    func whatIsNoPathIsRefusedWithAReason(text: String) {
        let error = #expect(throws: PropertyPathError.self) { try PropertyPath(text) }
        #expect(error?.message.hasSuffix(".") == true)
    }

    @Test func theLongestPathsAreTaken() throws {
        #expect(try PropertyPath("data.0.1.2.3").keys.count == 4)
        #expect(try PropertyPath("context." + Array(repeating: "a", count: 31).joined(separator: ".")).keys.count == 31)
    }

    @Test func pathsAreToldApartByTheirBytes() throws {
        let paths = try ["data.é", "data.e\u{301}", "context.é", "data.a", "data.a.a", "data.é"].map { try PropertyPath($0) }
        #expect(Set(paths).count == 5 && paths[0] != paths[1] && paths[0] == paths[5])
    }
}
