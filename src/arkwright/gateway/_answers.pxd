"""Plain answers, read in C."""

cdef struct Answer:
    Py_ssize_t body_at
    const char* body  # Where it was in chunks, in room that holds until the next answer is read.
    long long body_length
    Py_ssize_t whole  # With its head, and with what is around its chunks.
    const char* request_id
    Py_ssize_t request_id_length
    const char* model  # Between its quotes; NULL: there is none.
    Py_ssize_t model_length
    long long prompt_tokens
    long long completion_tokens
    long long cached_tokens
    long long cache_write_tokens
    long long reasoning_tokens

cdef enum Reading:
    PLAIN
    UNFINISHED
    ODD_ONE

cdef Reading read_answer(const char* data, Py_ssize_t length, Answer* answer) noexcept nogil
