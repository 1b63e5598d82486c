import AnalyticsCore
import AnalyticsOIDC
import Foundation
import Testing

@testable import analytics

struct SettingsReaderTests {
    private static let token = String(repeating: "t", count: 40)

    private static func reader(_ settings: [String: String]) -> SettingsReader {
        SettingsReader { name, _ in settings[name] }
    }

    /// A file with this text, for the time of `body`.
    private static func withFile<R>(_ text: String, _ body: (String) throws -> R) throws -> R {
        let file = FileManager.default.temporaryDirectory.appending(path: "secret-\(UUID().uuidString)")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try body(file.path)
    }

    /// The one line that a wrong setting ends the start with.
    private static func failure(_ settings: [String: String]) -> String {
        do {
            _ = try Settings(reader(settings))
            return "no failure"
        } catch let error as SettingsError {
            return error.description
        } catch {
            return "unexpected: \(error)"
        }
    }

    @Test(arguments: ["", "\n", "\r\n", "\nmore\n", "\n\n"]) func theFirstLineOfAFileIsTheValue(rest: String) throws {
        try Self.withFile(Self.token + rest) { path throws in
            #expect(try Self.reader(["ADMIN_TOKEN_FILE": path]).value(SettingCatalogue.adminToken) == Self.token)
        }
        try Self.withFile("pass word " + rest) { path throws in
            #expect(try Self.reader(["REDIS_PASSWORD_FILE": path]).value(SettingCatalogue.redisPassword) == "pass word ")
        }
    }

    @Test func everySecretHasAFileAndNothingElse() throws {
        try Self.withFile("mongodb://user:secret@host/db\n") { path throws in
            let settings = try Settings(Self.reader(["MONGODB_URI_FILE": path, "PORT_FILE": path, "HOST_FILE": path]))
            #expect(settings.backends.mongoURI == "mongodb://user:secret@host/db")
            #expect(settings.server.port == 4_000 && settings.server.host == "127.0.0.1")
        }
    }

    @Test func aSecretAndItsFileAreNotBothSet() throws {
        try Self.withFile(Self.token) { path throws in
            let failure = Self.failure(["ADMIN_TOKEN": Self.token, "ADMIN_TOKEN_FILE": path])
            #expect(failure == "ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set: set one of them")
            #expect(try Self.reader(["ADMIN_TOKEN": "", "ADMIN_TOKEN_FILE": path]).value(SettingCatalogue.adminToken) == Self.token)
            #expect(try Self.reader(["ADMIN_TOKEN": Self.token, "ADMIN_TOKEN_FILE": ""]).value(SettingCatalogue.adminToken) == Self.token)
        }
    }

    @Test func aFileThatHasNoValueIsRefusedByName() throws {
        let missing = Self.failure(["ADMIN_TOKEN_FILE": "/nowhere/token"])
        #expect(missing.hasPrefix("ADMIN_TOKEN_FILE=/nowhere/token is not allowed: a file that can be read"), "\(missing)")
        for text in ["", "\n\(Self.token)", "\r\n"] {
            try Self.withFile(text) { path throws in
                let failure = Self.failure(["ADMIN_TOKEN_FILE": path])
                #expect(failure == "ADMIN_TOKEN_FILE=\(path) is not allowed: a file whose first line is a text")
            }
        }
    }

    @Test func noErrorShowsASecret() throws {
        let short = "short-secret"
        let failure = Self.failure(["ADMIN_TOKEN": short])
        #expect(failure.hasPrefix("ADMIN_TOKEN=… is not allowed: a text of at least 32") && !failure.contains(short), "\(failure)")
        try Self.withFile(short) { path throws in
            let failure = Self.failure(["ADMIN_TOKEN_FILE": path])
            #expect(failure.hasPrefix("ADMIN_TOKEN_FILE=\(path) is not allowed") && !failure.contains(short), "\(failure)")
        }
        try Self.withFile("http://user:\(short)@host") { path throws in
            #expect(!Self.failure(["RABBITMQ_URL_FILE": path]).contains(short))
        }
        #expect(Self.failure(["RABBITMQ_URL": "http://user:\(short)@host"]).hasPrefix("RABBITMQ_URL=http://…@host is not allowed"))
    }

    @Test func aCertificateAndItsKeyNeedEachOther() throws {
        #expect(Self.failure(["TLS_CERTIFICATE": "/c.pem"]).hasPrefix("TLS_CERTIFICATE needs TLS_KEY"))
        #expect(Self.failure(["TLS_KEY": "/k.pem"]).hasPrefix("TLS_KEY needs TLS_CERTIFICATE"))
        let server = try Settings(Self.reader(["TLS_CERTIFICATE": "/c.pem", "TLS_KEY": "/k.pem", "PORT": "8443"])).server
        #expect(server.tls?.certificate == "/c.pem" && server.tls?.key == "/k.pem" && server.localAddress == "https://127.0.0.1:8443")
        let plain = try Settings(Self.reader(["TLS_CERTIFICATE": "", "TLS_KEY": ""])).server
        #expect(plain.tls == nil && plain.localAddress == "http://127.0.0.1:4000")
    }

    @Test func aProviderIsNamedWholly() throws {
        let whole = [
            "OIDC_ISSUER": "https://id.example/t", "OIDC_CLIENT_ID": "c", "OIDC_CLIENT_SECRET": "pass-word",
            "PUBLIC_URL": "https://Analytics.example:443/",
        ]
        let server = try Settings(Self.reader(whole)).server
        #expect(server.provider?.redirectURI == "https://analytics.example/api/v1/auth/oidc/callback")
        #expect(server.provider?.issuer.text == "https://id.example/t" && server.provider?.clientSecret == "pass-word")
        for name in ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"] {
            let failure = Self.failure(whole.merging([name: ""]) { $1 })
            #expect(failure.hasPrefix("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET belong together"), "\(failure)")
        }
        #expect(Self.failure(whole.merging(["PUBLIC_URL": ""]) { $1 }).hasPrefix("OIDC_ISSUER needs PUBLIC_URL"))
        let plain = Self.failure(whole.merging(["OIDC_ISSUER": "http://user:pass-word@id.example"]) { $1 })
        #expect(plain.hasPrefix("OIDC_ISSUER=http://…@id.example is not allowed: an https:// address") && !plain.contains("pass-word"))
        let alone = try Settings(Self.reader(["PUBLIC_URL": "http://localhost:4000"])).server
        #expect(alone.provider == nil && alone.publicURL?.isPlain == true)
        try Self.withFile("from-a-file\n") { path throws in
            let settings = whole.merging(["OIDC_CLIENT_SECRET": "", "OIDC_CLIENT_SECRET_FILE": path]) { $1 }
            #expect(try Settings(Self.reader(settings)).server.provider?.clientSecret == "from-a-file")
        }
    }

    @Test(arguments: [("", 0), ("false", 0), ("0", 0), ("true", 1), ("1", 1), ("Yes", 1), ("2", 2), ("10", 10)])
    func trustedProxiesAreCounted(text: String, count: Int) throws {
        #expect(try Settings(Self.reader(["TRUST_PROXY": text])).server.trustedProxies == count)
        let failure = Self.failure(["TRUST_PROXY": text, "COUNTRY_HEADER": "CF-IPCountry"])
        #expect(failure.hasPrefix("COUNTRY_HEADER needs TRUST_PROXY") == (count == 0), "\(failure)")
    }

    @Test(arguments: ["11", "-1", "1.5", "two", "10.0.0.1"]) func aWrongNumberOfProxiesIsRefused(text: String) {
        let failure = Self.failure(["TRUST_PROXY": text])
        #expect(failure == "TRUST_PROXY=\(text) is not allowed: true, false, or the number of proxies from 1 to 10")
    }

    @Test(arguments: ["rediss://cache:6380", "redis://cache"]) func redisHasNoScheme(host: String) {
        let failure = Self.failure(["REDIS_HOST": host])
        #expect(failure.hasPrefix("REDIS_HOST=\(host) is not allowed: a host name without"), "\(failure)")
        #expect(failure.contains("hiredis has no TLS") && !failure.contains("\n"), "\(failure)")
        #expect(!Self.failure(["REDIS_HOST": "rediss://:pass-word@cache"]).contains("pass-word"))
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("127.8.9.10", true), ("localhost", true), ("LocalHost", true), ("::1", true), ("::ffff:127.0.0.1", true),
        ("0.0.0.0", false), ("::", false), ("192.168.1.1", false), ("example.com", false), ("", false), ("128.0.0.1", false),
        ("localhost.example.com", false), ("::2", false), ("1::1", false),
    ])
    func anonymousAccessIsForLoopbackWithoutAToken(host: String, isLoopback: Bool) throws {
        #expect(ServerSettings.isLoopback(host) == isLoopback)
        guard !host.isEmpty else { return }
        #expect(try Settings(Self.reader(["HOST": host])).server.allowsAnonymous == isLoopback)
        #expect(try Settings(Self.reader(["HOST": host, "ALLOW_ANONYMOUS": "true"])).server.allowsAnonymous)
        let token = ["HOST": host, "ADMIN_TOKEN": Self.token]
        #expect(try !Settings(Self.reader(token)).server.allowsAnonymous)
        #expect(try Settings(Self.reader(token.merging(["ALLOW_ANONYMOUS": "true"]) { $1 })).server.allowsAnonymous)
    }
}
