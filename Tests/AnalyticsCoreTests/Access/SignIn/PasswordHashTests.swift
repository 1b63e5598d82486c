import Dispatch
import Foundation
import TestSupport
import Testing

@testable import AnalyticsCore

@Suite(.timeLimit(.minutes(5)))
struct PasswordHashTests {
    private static let cheap = PasswordHash.Parameters(logN: 10, blockSize: 1, parallelism: 1)

    // MARK: scrypt

    /// RFC 7914, section 12, and values of another program.
    @Test(arguments: [
        (
            "password",
            "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA"
        ),
        (
            "pleaseletmein",
            "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
                + "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"
        ),
        ("", "$scrypt$ln=10,r=1,p=1$TmFDbA$G6r6X4QQWKBDkCPp15JhKGd8AA4+lZqEuWfhfGH/c1U"),
        ("Grüße an alle 🛍", "$scrypt$ln=15,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$6OGHsITODVd6vmb6I+4Q8sC8jC6kGednIQfPzScsNHA"),
    ])
    func aHashOfOtherProgramsIsVerified(password: String, text: String) async throws {
        let hash = try #require(PasswordHash(text))
        #expect(hash.text == text)
        let hasher = ScryptHasher()
        #expect(try await hasher.verify(password, hash))
        #expect(try await !hasher.verify(password + "x", hash))
    }

    @Test func aNewHashIsOfItsPasswordAlone() async throws {
        let hasher = ScryptHasher(Self.cheap)
        let hash = try await hasher.hash("tall giraffes")
        #expect(hash.text.wholeMatch(of: #/\$scrypt\$ln=10,r=1,p=1\$[0-9A-Za-z+\/]{22}\$[0-9A-Za-z+\/]{43}/#) != nil)
        #expect(PasswordHash(hash.text) == hash)
        #expect(try await hasher.verify("tall giraffes", hash))
        for other in ["tall giraffe", "Tall giraffes", "tall giraffes ", ""] { #expect(try await !hasher.verify(other, hash)) }
        #expect(try await hasher.hash("tall giraffes").salt != hash.salt)
    }

    @Test func theParametersAreThoseOfTheDocument() {
        #expect(PasswordHash.current.text == "ln=15,r=8,p=3" && PasswordHash.current.isAllowed)
        #expect(PasswordHash.current.memory == 32 << 20)
        #expect(PasswordHash.dummy.parameters == PasswordHash.current && PasswordHash(PasswordHash.dummy.text) == .dummy)
    }

    /// What a store says must not take much memory or time.
    @Test func aHashCostsAtMost128MiBAndTheTimeOfEight() {
        let bytes = [UInt8](repeating: 1, count: 32)
        for (logN, parallelism, isAllowed) in [(17, 6, true), (17, 7, false), (18, 1, false), (15, 16, true), (16, 13, false)] {
            let parameters = PasswordHash.Parameters(logN: logN, blockSize: 8, parallelism: parallelism)
            #expect(parameters.isAllowed == isAllowed, "\(parameters.text)")
            #expect((PasswordHash(PasswordHash(parameters, salt: bytes, hash: bytes).text) != nil) == isAllowed)
        }
    }

    @Test func aHashIsMadeAgainOnceNewOnesCostMore() {
        let bytes = [UInt8](repeating: 1, count: 32)
        func needsRehash(_ logN: Int, _ blockSize: Int, _ parallelism: Int) -> Bool {
            let parameters = PasswordHash.Parameters(logN: logN, blockSize: blockSize, parallelism: parallelism)
            return PasswordHash(parameters, salt: bytes, hash: bytes).needsRehash
        }
        #expect(!PasswordHash.dummy.needsRehash)
        #expect(needsRehash(14, 8, 3) && needsRehash(15, 8, 2) && needsRehash(15, 4, 3))
        #expect(!needsRehash(17, 8, 1) && !needsRehash(16, 8, 3))
    }

    // MARK: Two at a time

    @Test func twoAreHashedAtATimeAndAThirdIsRefusedAtOnce() async throws {
        let hasher = ScryptHasher(Self.cheap)
        let (started, gate) = (Counting(), DispatchSemaphore(value: 0))
        let running = (0..<2).map { _ in
            Task {
                try await hasher.run {
                    started.next()
                    gate.wait()
                }
            }
        }
        try await eventually("both run") { started.value == 2 }
        await #expect(throws: HasherBusy()) { try await hasher.hash("tall giraffes") }
        await #expect(throws: HasherBusy()) { try await hasher.verify("tall giraffes", .dummy) }
        for _ in running { gate.signal() }
        for task in running { try await task.value }
        _ = try await hasher.hash("tall giraffes")
    }

    @Test func withoutMemoryItIsBusyAndGoesOnLater() async throws {
        struct NoMemory: Error {}
        let hasher = ScryptHasher(Self.cheap)
        for _ in 0..<5 {
            await #expect(throws: HasherBusy()) { try await hasher.run { () throws -> Bool in throw NoMemory() } }
        }
        _ = try await hasher.hash("tall giraffes")
    }

    // MARK: Its text

    @Test(arguments: [
        "", "$", "$scrypt$", "plain", "$scrypt$ln=15,r=8,p=3$AAECAwQFBgcICQoLDA0ODw", "$bcrypt$ln=15,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$HASH",
        "$scrypt$ln=9,r=8,p=3$SALT$HASH", "$scrypt$ln=21,r=8,p=3$SALT$HASH", "$scrypt$ln=15,r=0,p=3$SALT$HASH",
        "$scrypt$ln=15,r=17,p=3$SALT$HASH", "$scrypt$ln=15,r=8,p=0$SALT$HASH", "$scrypt$ln=15,r=8,p=17$SALT$HASH",
        "$scrypt$ln=18,r=8,p=1$SALT$HASH", "$scrypt$ln=16,r=1,p=1$SALT$HASH", "$scrypt$ln=-15,r=8,p=3$SALT$HASH",
        "$scrypt$ln=99999999999999999999,r=8,p=3$SALT$HASH", "$scrypt$ln=015,r=8,p=3$SALT$HASH", "$scrypt$ln=+15,r=8,p=3$SALT$HASH",
        "$scrypt$r=8,ln=15,p=3$SALT$HASH", "$scrypt$ln=15,r=8$SALT$HASH", "$scrypt$ln=15,r=8,p=3,x=1$SALT$HASH",
        "$scrypt$ln=15,r=8,,p=3$SALT$HASH", "$scrypt$ln=15,r=8,p=3$$HASH", "$scrypt$ln=15,r=8,p=3$SALT$", "$scrypt$ln=15,r=8,p=3$SA=T$HASH",
        "$scrypt$ln=15,r=8,p=3$SALT$HASH=", "$scrypt$ln=15,r=8,p=3$SALT$HASH$", " $scrypt$ln=15,r=8,p=3$SALT$HASH",
        "$scrypt$ln=15,r=8,p=3$SALT$HASH\n", "$scrypt$ln=15,r=8,p=3$SALT$6OGHsITODVd6vmb6I", "$scrypt$ln=15,r=8,p=3$AB$HASH",
    ])
    func anotherTextIsNoHash(text: String) {
        let hash = "6OGHsITODVd6vmb6I+4Q8sC8jC6kGednIQfPzScsNHA"
        let filled = text.replacing("SALT", with: "AAECAwQFBgcICQoLDA0ODw").replacing("HASH", with: hash)
        #expect(PasswordHash(filled) == nil, "\(filled)")
    }

    @Test func itsJSONIsItsText() throws {
        let encoded = try JSONEncoder().encode([PasswordHash.dummy])
        #expect(try JSONDecoder().decode([String].self, from: encoded) == [PasswordHash.dummy.text])
        #expect(try JSONDecoder().decode([PasswordHash].self, from: encoded) == [.dummy])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([PasswordHash].self, from: Data(#"["tall giraffes"]"#.utf8)) }
    }
}
