"""Where the server of the tests is to be found."""

HOST = "http://127.0.0.1:8765"
