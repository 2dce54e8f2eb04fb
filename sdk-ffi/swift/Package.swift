// swift-tools-version: 5.9

import PackageDescription

// What a release fills in: where its XCFramework is, and the checksum that `swift package compute-checksum` gives.
let url = "https://github.com/pillion-dev/pillion/releases/download/v0.1.0/PillionFFI.xcframework.zip"
let checksum = "0000000000000000000000000000000000000000000000000000000000000000"

let package = Package(
    name: "Pillion",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Pillion", targets: ["Pillion"])],
    targets: [
        .binaryTarget(name: "PillionFFI", url: url, checksum: checksum),
        .target(name: "Pillion", dependencies: ["PillionFFI"]),
    ]
)
