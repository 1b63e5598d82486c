import Logging
import Synchronization
import Testing

@testable import analytics

struct OneLineLogHandlerTests {
    private final class Lines: TextOutputStream, Sendable {
        let text = Mutex("")

        func write(_ string: String) { text.withLock { $0 += string } }
    }

    private struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private static func written(_ log: (inout Logger) -> Void) -> String {
        let lines = Lines()
        var logger = Logger(label: "test") { OneLineLogHandler(StreamLogHandler(label: $0, stream: lines)) }
        log(&logger)
        return lines.text.withLock { $0 }
    }

    /// A second line that looks like ours, and what colours or clears a terminal.
    private static let evil = "x\r\n2026-01-01T00:00:00+0000 error test: forged\u{1B}[2J\u{85}\u{2028}\u{9B}31m\u{202E}"

    @Test func nothingThatIsLoggedEndsALineOrSteersATerminal() {
        let texts = [
            Self.written { $0.warning("\(Self.evil)") }, Self.written { $0.warning("a", metadata: ["k": "\(Self.evil)"]) },
            Self.written { $0.warning("a", metadata: [Self.evil: "v"]) },
            Self.written { $0.warning("a", metadata: ["k": ["\(Self.evil)", ["n": .stringConvertible(Self.evil)]]]) },
            Self.written {
                $0[metadataKey: "k"] = "\(Self.evil)"
                $0.warning("a")
            },
            Self.written {
                $0[metadataKey: Self.evil] = "v"
                $0.warning("a")
            },
            Self.written { $0.warning("a", error: Failure(description: Self.evil)) },
            Self.written {
                $0.handler.metadata = ["k": "\(Self.evil)"]
                $0.warning("a")
            },
        ]
        for text in texts {
            let controls = text.unicodeScalars.dropLast().filter { $0.properties.generalCategory == .control || $0.value >= 0x2028 }
            #expect(text.utf8.last == UInt8(ascii: "\n") && controls.isEmpty, "\(text)")
            #expect(text.contains("forged") && text.contains("\\u{1B}[2J"), "\(text)")
        }
    }

    @Test func whatIsLongIsCutByItself() {
        let long = String(repeating: "y", count: 1 << 20)
        let text = Self.written { $0.warning("told \(long)", metadata: ["k": "\(long)", "other": "whole"]) }
        #expect(text.utf8.count < 2 * OneLineLogHandler<StreamLogHandler>.limit + 200)
        #expect(text.contains("other=whole") && text.contains("] told yyy"))
    }
}
