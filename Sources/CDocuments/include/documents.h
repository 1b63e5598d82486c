#pragma once
#include <stddef.h>

// Documents embedded in the binary.
//
// `#embed` (C23, clang 19) takes half a second for 400 KB; SwiftPM's `.embedInCode`, a Swift array literal, takes a minute for 200 KB.

typedef struct {
    const unsigned char *bytes;
    size_t count;
} cdocument;

// The OpenAPI description. Its version is 0.0.0.
cdocument cdocument_openapi(void);

// The HTML page for reading it.
cdocument cdocument_page(void);
