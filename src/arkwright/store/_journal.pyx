# cython: language_level=3, boundscheck=False, wraparound=False
"""The journal of `store/journal.py` with the same face and the same files, its thread in C (`_journal_core.h`): frames,
CRC, hash chain, write and sync without the interpreter's lock. `_journal.pxd` says what native callers have of it.

Law: that of `store/journal.py`. `on_durable` is called only after the record and all before it are on the disk; a write
or sync that failed is never retried and believed.
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections import deque
from pathlib import Path

from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EIO
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy, strcpy

from arkwright.domain import journal as records
from arkwright.store import frames, journal

cdef extern from "Python.h":
    int PyBUF_READ

cdef extern from "_journal_core.h":
    enum: AK_PATH_MAX
    ctypedef struct ak_calls:
        int (*create)(void* disk, const char* path) noexcept
        ssize_t (*write)(void* disk, int fd, const unsigned char* data, size_t length) noexcept
        int (*sync)(void* disk, int fd) noexcept
        int (*sync_directory)(void* disk, const char* path) noexcept
    ctypedef struct ak_place:
        uint64_t segment, offset, sequence
        unsigned char hash[32]
    ctypedef struct ak_journal:
        int closed, failed, fd
        uint64_t segment_bytes
        ak_calls calls
        void* disk
        void (*notify)(void* owner) noexcept
        void* owner
        uint64_t* durable_out
        char* directory
        unsigned char* opened_head
        unsigned char* opened_tail
        size_t opened_head_length, opened_tail_length
    ctypedef void (*ak_sha_step)(uint32_t* state, const unsigned char* data, size_t blocks)
    ak_sha_step ak_sha_best, ak_sha_portable
    int ak_crc_folds
    void ak_digest_prepare() nogil
    uint32_t ak_crc32(const unsigned char* data, size_t length, uint32_t crc) nogil
    void ak_sha256(ak_sha_step step, const unsigned char* data, size_t length, unsigned char* digest) nogil
    ak_journal* ak_new() nogil
    void ak_free(ak_journal* j) nogil
    uint64_t ak_put(ak_journal* j, const void* payload, size_t length, int awaited) noexcept nogil
    void ak_close(ak_journal* j) nogil
    ak_place ak_placed(ak_journal* j) nogil
    int ak_commit(ak_journal* j, unsigned char* frames, size_t length) nogil
    void ak_run(ak_journal* j) nogil

cdef extern from "<sys/eventfd.h>":
    int EFD_CLOEXEC, EFD_NONBLOCK
    int eventfd(unsigned int count, int flags) nogil

cdef extern from "<unistd.h>":
    ssize_t read(int fd, void* into, size_t length) nogil
    ssize_t write(int fd, const void* data, size_t length) nogil

ak_digest_prepare()
_ENDED = 10_000  # No errno: the disk of a test raised what no disk raises.


def crc32(bytes data, unsigned int crc=0, *, portable=False):
    """As `zlib.crc32`. `portable`: without the processor's own instructions for it."""
    global ak_crc_folds
    folds = ak_crc_folds
    if portable:
        ak_crc_folds = 0  # For a test: a journal that writes meanwhile has the same by the tables.
    crc = ak_crc32(<const unsigned char*>data, len(data), crc)
    ak_crc_folds = folds
    return crc


def sha256(bytes data, *, portable=False):
    """As `hashlib.sha256(data).digest()`. `portable`: without the processor's own instructions for it."""
    cdef unsigned char digest[32]
    ak_sha256(ak_sha_portable if portable else ak_sha_best, <const unsigned char*>data, len(data), digest)
    return digest[:32]


cdef class Journal:
    """One incarnation's journal, held under a lock that tells the settler whether its writer lives."""

    def __cinit__(self):
        self._core = ak_new()
        if self._core == NULL:
            raise MemoryError
        self._event = self._lock = -1

    def __dealloc__(self):
        ak_free(<ak_journal*>self._core)

    def __init__(
        self, journal_dir, *, incarnation, host, slot, segment_bytes, call_soon_threadsafe, on_failure=None, disk=None
    ):
        """As `JournalWriter`. A loop's own `call_soon_threadsafe` is not called: the loop watches an eventfd instead."""
        cdef ak_journal* core = <ak_journal*>self._core
        self._opened = (incarnation, host, slot)
        self._call_soon_threadsafe = call_soon_threadsafe
        self._on_failure = on_failure
        self._disk = disk
        self._waiting = deque()
        core.segment_bytes = segment_bytes
        core.owner = <void*>self
        core.durable_out = <uint64_t*>&self.durable
        core.notify = _notify_now
        if disk is not None:
            core.disk = <void*>disk
            core.calls = ak_calls(_create, _write, _sync, _sync_directory)
        self._remember_opened()
        try:
            self._make(journal_dir)
        except OSError as error:
            self._let_go()
            raise journal.JournalFailed(f"the journal cannot be written: {error}") from error
        self._watch()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def incarnation(self):
        return self._opened[0]

    @property
    def place(self):
        """A reader's position (segment, offset, sequence, hash) before every record that is appended from now on."""
        cdef ak_place place = ak_placed(<ak_journal*>self._core)
        return place.segment, place.offset, place.sequence, <bytes>(<char*>place.hash)[:32]

    @property
    def failed(self):
        if self._failed is None and (<ak_journal*>self._core).failed:
            self._failed = self._failure()
        return self._failed

    cdef unsigned long long put(self, const char* payload, Py_ssize_t length, bint awaited) noexcept nogil:
        return ak_put(<ak_journal*>self._core, payload, length, awaited)

    def append(self, bytes payload, on_durable=None):
        """Queue one record; `on_durable` is called on the loop once it is on disk. Raises JournalFailed when failed."""
        cdef ak_journal* core = <ak_journal*>self._core
        cdef unsigned long long number
        if core.failed or core.closed:
            raise journal.JournalFailed(str(self.failed) if core.failed else "the journal is closed")
        if not 0 < len(payload) <= frames.PAYLOAD_MAX:
            raise ValueError(f"a journal record has 1 to {frames.PAYLOAD_MAX} bytes, not {len(payload)}")
        # The thread tells nobody before this returns: for that it takes the interpreter, or the loop's next turn.
        number = ak_put(core, <const char*>payload, len(payload), on_durable is not None)
        if not number:
            raise journal.JournalFailed(str(self.failed) if core.failed else "there is no memory for the journal")
        if on_durable is not None:
            self._waiting.append((number, on_durable))

    def close(self):
        """Write and sync what was appended, then give up the lock. Safe to call again, and after a failure."""
        ak_close(<ak_journal*>self._core)
        self._thread.join()
        self._let_go()

    cdef _make(self, journal_dir):
        """The directory appears under its name complete: locked, with a first record; no reader sees it without."""
        cdef ak_journal* core = <ak_journal*>self._core
        cdef int failed
        fresh = journal_dir / f".{self.incarnation}"
        fresh.mkdir(mode=0o700)
        try:
            self._lock = os.open(fresh / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            _set_directory(core, fresh)
            with nogil:
                failed = ak_commit(core, NULL, 0)
            if failed:
                raise OSError(-failed, os.strerror(-failed))
            os.rename(fresh, journal_dir / self.incarnation)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _set_directory(core, journal_dir / self.incarnation)
        (self._disk or journal.Disk()).sync_directory(journal_dir)

    def _remember_opened(self):
        """The first record of a segment, but for the two numbers that the thread knows when it makes one."""
        cdef ak_journal* core = <ak_journal*>self._core
        whole = records.encode(records.Opened(*self._opened, 0, 0))
        head, _, tail = whole.rpartition(b"\xa7segment\x00\xa5at_us\x00")
        core.opened_head = _copy(head + b"\xa7segment", &core.opened_head_length)
        core.opened_tail = _copy(tail, &core.opened_tail_length)

    def _watch(self):
        """Have the loop look whether there is news; where there is no loop, the thread calls by itself."""
        loop = getattr(self._call_soon_threadsafe, "__self__", None)
        if not hasattr(loop, "add_reader"):
            return
        self._event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self._event < 0:
            raise OSError("no eventfd is left")
        loop.add_reader(self._event, self._news)
        self._loop = loop
        (<ak_journal*>self._core).notify = _notify_event

    def _run(self):
        with nogil:
            ak_run(<ak_journal*>self._core)

    def _news(self):
        cdef uint64_t count
        read(self._event, &count, sizeof(count))
        self._tell()

    def _tell(self):
        """On the loop: whoever waited for what is durable now; then what has failed."""
        waiting = self._waiting
        try:
            while waiting and waiting[0][0] <= self.durable:
                waiting.popleft()[1]()
        except BaseException:  # One that raised must not keep the others from hearing.
            self._call_soon_threadsafe(self._tell)
            raise
        if self.told is not None:
            self.told()
        if (<ak_journal*>self._core).failed and not self._failure_told:
            self._failure_told = True
            if self._on_failure is not None:
                self._on_failure(self.failed)

    cdef _failure(self):
        cdef int code = (<ak_journal*>self._core).failed
        if code == _ENDED:
            return journal.JournalFailed("the journal's thread has ended")
        return journal.JournalFailed(f"the journal cannot be written: {OSError(code, os.strerror(code))}")

    cdef _let_go(self):
        cdef ak_journal* core = <ak_journal*>self._core
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody is left who waits for an answer.
                self._loop.remove_reader(self._event)
                self._loop.call_soon_threadsafe(self._tell)
            self._loop = None
        for fd in (core.fd, self._lock, self._event):
            if fd >= 0:
                os.close(fd)
        core.fd = self._lock = self._event = -1


cdef _set_directory(ak_journal* core, path):
    encoded = os.fsencode(path)
    if len(encoded) >= AK_PATH_MAX:
        raise OSError(f"the path of the journal is too long: {path}")
    strcpy(core.directory, encoded)


cdef unsigned char* _copy(bytes data, size_t* length) except NULL:
    cdef unsigned char* made = <unsigned char*>malloc(len(data) or 1)
    if made == NULL:
        raise MemoryError
    memcpy(made, <const char*>data, len(data))
    length[0] = len(data)
    return made


# How the thread tells

cdef void _notify_event(void* owner) noexcept nogil:
    cdef uint64_t one = 1
    write((<Journal>owner)._event, &one, sizeof(one))


cdef void _notify_now(void* owner) noexcept with gil:
    owned = <Journal>owner
    with contextlib.suppress(RuntimeError):
        owned._call_soon_threadsafe(owned._tell)


# A test's disk

cdef int _failed(object error) noexcept:
    return -(error.errno or EIO)


cdef int _create(void* disk, const char* path) noexcept with gil:
    try:
        return (<object>disk).create(Path(os.fsdecode(<bytes>path)))
    except OSError as error:
        return _failed(error)
    except BaseException:
        return -_ENDED


cdef ssize_t _write(void* disk, int fd, const unsigned char* data, size_t length) noexcept with gil:
    try:
        return (<object>disk).write(fd, PyMemoryView_FromMemory(<char*>data, length, PyBUF_READ))
    except OSError as error:
        return _failed(error)
    except BaseException:
        return -_ENDED


cdef int _sync(void* disk, int fd) noexcept with gil:
    try:
        (<object>disk).sync(fd)
        return 0
    except OSError as error:
        return _failed(error)
    except BaseException:
        return -_ENDED


cdef int _sync_directory(void* disk, const char* path) noexcept with gil:
    try:
        (<object>disk).sync_directory(Path(os.fsdecode(<bytes>path)))
        return 0
    except OSError as error:
        return _failed(error)
    except BaseException:
        return -_ENDED
