import AnalyticsCore
import Foundation
import TestSupport
import Testing

@testable import AnalyticsMongoDB

@Suite struct MongoDriverTests {
    @Test(
        "A driver that is missing, or lacks a function, is a misconfiguration that names it",
        arguments: [("libmongoc-0.9.so.0", "libmongoc-0.9.so.0"), ("libbson-1.0.so.0", "libbson-1.0.so.0 has no function mongoc_init")])
    func missing(_ library: String, _ reason: String) {
        #expect {
            try Driver.load(library).get()
        } throws: { error in
            guard let error = error as? StoreError else { return false }
            return error.code == .misconfigured && error.message.contains(reason)
        }
        // What has been loaded stays.
        #expect(throws: Never.self) { try ConnectionSettings("mongodb://h", database: nil) }
    }

    @Test("A file for TLS that cannot be used is refused at once, by the name of its option; right ones pass")
    func filesForTLS() async throws {
        let authority = try await TestAuthority()
        defer { authority.remove() }
        let own = try await authority.issue("own")
        let both = authority.folder.appending(path: "own.both.pem")
        for (option, file) in [
            ("tlsCAFile", "/nowhere/ca.pem"), ("tlsCAFile", own.key.path), ("tlsCertificateKeyFile", "/nowhere/own.pem"),
            ("tlsCertificateKeyFile", own.certificate.path), ("tlsCertificateKeyFile", own.key.path),
        ] {
            let error = #expect(throws: StoreError.self) {
                try ConnectionSettings("mongodb://me:secret@h/?tls=true&\(option)=\(file)", database: nil)
            }
            #expect(error?.code == .misconfigured && error?.message.contains("\(option)=\(file)") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("secret") == false)
        }
        let right = "mongodb://h/?tls=true&tlsCAFile=\(authority.certificate.path)&tlsCertificateKeyFile=\(both.path)"
        #expect(throws: Never.self) { try ConnectionSettings(right, database: nil) }
    }
}
