internal import AnalyticsAPI
internal import AnalyticsCore
internal import ArgumentParser
internal import Foundation

struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compute an answer with a proof again, from the events, and show whether it still holds.",
        discussion: """
            FILE is the whole answer to a question with `explain=proof`. Rollups, segments and caches are not read. Minutes that were \
            marked since are listed with the causes in their journals. May run while a service runs.

            Exits with 0 if the answer holds, 1 if it has changed, 2 if the text is not a proof of this store (damaged, changed, or of another \
            store), 3 if the result is unknown (the store is unavailable, or events of the range are deleted).
            """)

    @Argument(help: "The file; - for standard input.")
    var file = "-"

    @Option(help: "Seconds that the computation may take.")
    var timeout = 3_600

    /// Bytes per answer.
    private static let limit = 256 << 20

    func run() async throws {
        do {
            let text = try Self.read(file)
            try await CommandSettings.withStore { store, _, _ in
                let gate = QueryGate(limits: .init(timeout: .seconds(timeout)))
                let verdict = try await ProofVerifier(store: store, gate: gate).verify(text)
                for line in VerdictLines(verdict).lines { print(TerminalText.printable(line)) }
                if !verdict.holds { throw ExitCode(1) }
            }
        } catch let code as ExitCode {
            throw code
        } catch let fault as ProofFault {
            try Self.end(2, VerdictLines.text(fault))
        } catch {
            try Self.end(3, "cannot be told: \(VerdictLines.text(error))")
        }
    }

    private static func read(_ file: String) throws -> [UInt8] {
        do {
            let handle = file.equalsUTF8("-") ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
            var text: [UInt8] = []
            while let part = try handle.read(upToCount: 1 << 20), !part.isEmpty {
                text += part
                guard text.count <= limit else { throw ProofFault.unreadable }
            }
            return text
        } catch let fault as ProofFault {
            throw fault
        } catch {
            throw CommandFailure("\(file) cannot be read: \(error.localizedDescription)")
        }
    }

    private static func end(_ code: Int32, _ line: String) throws {
        FileHandle.standardError.write(Data("\(TerminalText.printable(line))\n".utf8))
        throw ExitCode(code)
    }
}

/// A verdict as lines of text.
struct VerdictLines {
    let lines: [String]

    init(_ verdict: ProofVerdict) {
        let proof = verdict.proof
        var lines = [
            "\(verdict.holds ? "holds" : "changed"): \(proof.question), project \(proof.project), as of \(proof.asOf.rfc3339)"
                + (verdict.holds ? "; counted again from the events, the answer is the same" : "")
        ]
        if !verdict.holds {
            // Not every answer has a total.
            let (then, now) = (verdict.totals.then ?? "none", verdict.totals.now ?? "none")
            lines.append(
                verdict.totals == (nil, nil)
                    ? "other values than then"
                    : then.equalsUTF8(now) ? "total \(then) as before; other values differ" : "total \(then), now \(now)")
        }
        let comparison = verdict.comparison
        lines += comparison.minutes.map(Self.line)
        if comparison.unlisted > 0 { lines.append("\(comparison.unlisted) more minutes were marked since") }
        if comparison.haveEarlierChanged { lines.append("days that the proof does not list one by one have changed") }
        if verdict.haveIdentitiesChanged { lines.append("identities have changed: other ids than before are known to be one user") }
        if let watermark = verdict.watermark, proof.ranges.contains(where: { $0.lowerBound < watermark }) {
            lines.append("events before \(watermark.rfc3339) are deleted: their minutes are as their rollups say")
        }
        if verdict.zones != proof.zones {
            lines.append("time zone data \(verdict.zones ?? "unknown"), in the proof \(proof.zones ?? "unknown")")
        }
        if !verdict.holds, lines.count == 2 { lines.append("no minute was marked since: events are stored whose marks are still to come") }
        self.lines = lines
    }

    private static func line(_ minute: ProofComparison.Minute) -> String {
        let difference = minute.difference.map { ", \($0 < 0 ? "" : "+")\($0) events" } ?? ""
        let causes = minute.causes.isEmpty ? "no cause in its journal, as of events in time" : minute.causes.names.joined(separator: ", ")
        return "minute \(Timestamp(minute: minute.minute).rfc3339): version \(minute.from.map(String.init) ?? "unknown") to \(minute.to)"
            + "\(difference): \(causes)" + (minute.until.map { ", counted \($0.rfc3339)" } ?? "")
    }

    static func text(_ fault: ProofFault) -> String {
        switch fault {
        case .unreadable: "unreadable: this is no answer with a proof. Ask with explain=proof, and keep the whole answer."
        case .unknownFormat: "unreadable: the proof is of a later version. Use a newer program."
        case .forged: "forged: the proof is not sealed with the key of this store. It was changed, or another store made it."
        case .otherAnswer: "forged: the proof is sealed, but not for this answer, which was changed."
        }
    }

    static func text(_ error: any Error) -> String {
        switch error {
        case let error as ExpiredRangeError: "events before \(error.watermark.rfc3339) are deleted"
        case let error as QueryTooLargeError: "the answer takes more than one may (\(error.reason))"
        case QueryLimitError.timeout(let limit): "not done within \(limit); --timeout allows more"
        default: "\(error)"
        }
    }
}
