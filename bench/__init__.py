"""The benchmarks: each figure is a ratio to a control that was measured in the same run.

    __main__   options, the table, results.json
    measure    timing in rounds; a comparison and its goal
    decide     row 1: the decision alone, against other libraries that count business days
    over_http  rows 2, 3 and 8: the service through its real server
    writes     rows 4 and 5: cancellations, through the server and by many processes at once
    watched    row 10: the watch over many open windows
    replayed   the control of rows 4 and 5: the statements of cancellations, repeated by the bare driver
    plain      the control of rows 2 and 4: the service that one would write instead
    growth     row 7: operations with few and with many stored orders
    stored     many stored orders, as the service would have written them
    carried    copies stored records from one engine to the other
    installed  installations of the service on either engine, each with separate records, and requests to them
    server     starts and stops servers; sends them requests over keep-alive connections
    apps       the control apps, and the server process that runs them

The rows are those of the performance goals. Nothing here is a test: a shared machine has no absolute figures.
"""
