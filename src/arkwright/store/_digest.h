/* CRC-32 (zlib's) and SHA-256 for the native journal, without a library.
 *
 * Both use the processor's own instructions where it has them (SHA-256 nine times as fast), and plain C where not.
 * Law: the same bytes give the same digests as zlib and hashlib, on every processor: tests compare both ways.
 */

#ifndef ARKWRIGHT_DIGEST_H
#define ARKWRIGHT_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "_cpu.h"

#ifdef AK_X86
#include <immintrin.h>
#endif

static inline uint32_t ak_load_be32(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void ak_store_be32(unsigned char *at, uint32_t value) {
    at[0] = value >> 24, at[1] = value >> 16, at[2] = value >> 8, at[3] = value;
}

static inline uint32_t ak_load_le32(const unsigned char *at) {
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static inline void ak_store_le32(unsigned char *at, uint32_t value) {
    at[0] = value, at[1] = value >> 8, at[2] = value >> 16, at[3] = value >> 24;
}

static inline void ak_store_le64(unsigned char *at, uint64_t value) {
    ak_store_le32(at, (uint32_t)value);
    ak_store_le32(at + 4, (uint32_t)(value >> 32));
}

/* CRC-32, eight bytes at a step by tables; sixty-four by multiplication without carries, after Intel's paper "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ". */

static uint32_t ak_crc_table[8][256];

static void ak_crc_prepare(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) rest = rest & 1 ? rest >> 1 ^ 0xEDB88320u : rest >> 1;
        ak_crc_table[0][byte] = rest;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int step = 1; step < 8; step++) {
            uint32_t before = ak_crc_table[step - 1][byte];
            ak_crc_table[step][byte] = before >> 8 ^ ak_crc_table[0][before & 255];
        }
}

#ifdef AK_X86
#define AK_FOLD(x, by) _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11))

/* At least 64 bytes, and a multiple of 16; `crc` and what it returns are inverted. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t ak_crc_folded(
    const unsigned char *data, size_t length, uint32_t crc) {
    const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i last = _mm_set_epi64x(0, 0x0163cd6124), poly = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i half = _mm_setr_epi32(~0, 0, ~0, 0), *at = (const __m128i *)data;
    __m128i x[4], y;
    for (int i = 0; i < 4; i++) x[i] = _mm_loadu_si128(at + i);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
    for (at += 4, length -= 64; length >= 64; at += 4, length -= 64)
        for (int i = 0; i < 4; i++) x[i] = _mm_xor_si128(AK_FOLD(x[i], by64), _mm_loadu_si128(at + i));
    for (int i = 1; i < 4; i++) x[0] = _mm_xor_si128(AK_FOLD(x[0], by16), x[i]);
    for (; length; at++, length -= 16) x[0] = _mm_xor_si128(AK_FOLD(x[0], by16), _mm_loadu_si128(at));
    y = _mm_xor_si128(_mm_srli_si128(x[0], 8), _mm_clmulepi64_si128(x[0], by16, 0x10));
    y = _mm_xor_si128(_mm_srli_si128(y, 4), _mm_clmulepi64_si128(_mm_and_si128(y, half), last, 0x00));
    x[1] = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(y, half), poly, 0x10), half);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(y, _mm_clmulepi64_si128(x[1], poly, 0x00)), 1);
}
#endif

static int ak_crc_folds = 0; /* Whether this processor can. */

static uint32_t ak_crc32(const unsigned char *data, size_t length, uint32_t crc) {
    crc = ~crc;
#ifdef AK_X86
    if (ak_crc_folds && length >= 64) {
        crc = ak_crc_folded(data, length & ~(size_t)15, crc);
        data += length & ~(size_t)15;
        length &= 15;
    }
#endif
    for (; length >= 8; data += 8, length -= 8) {
        uint32_t low = crc ^ ak_load_le32(data), high = ak_load_le32(data + 4);
        crc = ak_crc_table[7][low & 255] ^ ak_crc_table[6][low >> 8 & 255] ^ ak_crc_table[5][low >> 16 & 255] ^
              ak_crc_table[4][low >> 24] ^ ak_crc_table[3][high & 255] ^ ak_crc_table[2][high >> 8 & 255] ^
              ak_crc_table[1][high >> 16 & 255] ^ ak_crc_table[0][high >> 24];
    }
    for (; length; data++, length--) crc = crc >> 8 ^ ak_crc_table[0][(crc ^ *data) & 255];
    return ~crc;
}

/* SHA-256 */

static const uint32_t ak_sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

typedef void (*ak_sha_step)(uint32_t state[8], const unsigned char *data, size_t blocks);

static inline uint32_t ak_turn(uint32_t value, int by) { return value >> by | value << (32 - by); }

static void ak_sha_portable(uint32_t state[8], const unsigned char *data, size_t blocks) {
    for (; blocks; blocks--, data += 64) {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; i++) w[i] = ak_load_be32(data + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (ak_turn(a, 7) ^ ak_turn(a, 18) ^ a >> 3) + w[i - 7] +
                   (ak_turn(b, 17) ^ ak_turn(b, 19) ^ b >> 10);
        }
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t e = s[4], a = s[0];
            uint32_t one = s[7] + (ak_turn(e, 6) ^ ak_turn(e, 11) ^ ak_turn(e, 25)) + ((e & s[5]) ^ (~e & s[6])) +
                           ak_sha_k[i] + w[i];
            uint32_t two = (ak_turn(a, 2) ^ ak_turn(a, 13) ^ ak_turn(a, 22)) +
                           ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += one;
            s[0] = one + two;
        }
        for (int i = 0; i < 8; i++) state[i] += s[i];
    }
}

#ifdef AK_X86
__attribute__((target("sha,sse4.1,ssse3"))) static void ak_sha_native(
    uint32_t state[8], const unsigned char *data, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
    __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
    __m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xF0);
    for (; blocks; blocks--, data += 64) {
        __m128i m[4], abef_before = abef, cdgh_before = cdgh;
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            __m128i *now = &m[i & 3], before = m[(i + 3) & 3], sum;
            if (i < 4)
                *now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), swap);
            else {
                sum = _mm_add_epi32(
                    _mm_sha256msg1_epu32(*now, m[(i + 1) & 3]), _mm_alignr_epi8(before, m[(i + 2) & 3], 4));
                *now = _mm_sha256msg2_epu32(sum, before);
            }
            sum = _mm_add_epi32(*now, _mm_loadu_si128((const __m128i *)(ak_sha_k + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    low = _mm_shuffle_epi32(abef, 0x1B);
    high = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xF0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}
#endif

static ak_sha_step ak_sha_best = ak_sha_portable;

/* Once, when a module that includes this is imported. */
static void ak_digest_prepare(void) {
    ak_crc_prepare();
#ifdef AK_X86
    ak_crc_folds = ak_cpu_has(AK_HAS_PCLMULQDQ) && ak_cpu_has(AK_HAS_SSE41);
    if (ak_cpu_has(AK_HAS_SHA) && ak_cpu_has(AK_HAS_SSE41)) ak_sha_best = ak_sha_native;
#endif
}

static void ak_sha256(ak_sha_step step, const unsigned char *data, size_t length, unsigned char digest[32]) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    unsigned char last[128] = {0};
    size_t whole = length / 64, rest = length % 64, ends = rest < 56 ? 1 : 2;
    step(state, data, whole);
    memcpy(last, data + 64 * whole, rest);
    last[rest] = 0x80;
    ak_store_be32(last + 64 * ends - 8, (uint32_t)((uint64_t)length >> 29));
    ak_store_be32(last + 64 * ends - 4, (uint32_t)(length << 3));
    step(state, last, ends);
    for (int i = 0; i < 8; i++) ak_store_be32(digest + 4 * i, state[i]);
}

#endif
