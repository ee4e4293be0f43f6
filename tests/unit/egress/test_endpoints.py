"""What belongs to the service elsewhere."""

from domain.egress.endpoints import GUARDED_MAX, ServiceEndpoints


def test_only_endpoints_at_the_ports_are_returned_each_once():
    known = [("10.0.0.1", 8090), ("10.0.0.2", 443)]
    endpoints = ServiceEndpoints(lambda: [("db.test", 5432), ("10.0.0.1", 8090)], lambda: known)
    assert endpoints.at({8090, 5432}) == (("10.0.0.1", 8090), ("db.test", 5432))
    known.clear()
    assert endpoints.at({443}) == ()
    assert ServiceEndpoints().at({443}) == ()


def test_their_number_is_limited():
    endpoints = ServiceEndpoints(lambda: [(f"h{number}.test", 443) for number in range(GUARDED_MAX + 1)])
    assert len(endpoints.at({443})) == GUARDED_MAX
