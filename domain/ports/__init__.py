"""What the rules need from outside; each docstring is a contract that every adapter is tested against."""

from domain.ports.credentials import ApiKeyRepository, TokenVerifier
from domain.ports.executions import (
    EVERY_EXECUTION,
    Admission,
    ExecutionFilter,
    ExecutionRepository,
    ExecutionRequest,
    FinishedExecution,
)
from domain.ports.functions import FunctionFilter, FunctionPage, FunctionRepository
from domain.ports.keyed_calls import KeyedCallRepository
from domain.ports.limits import OwnerUsage, RateCharge, RateLedger, UsageReader
from domain.ports.paging import Page
from domain.ports.runners import ScriptRun, ScriptRunner, Worker
from domain.ports.schemas import Schema, SchemaCompiler
from domain.ports.sessions import SessionFilter, SessionRepository
from domain.ports.time import Clock, IdGenerator

__all__ = [
    "EVERY_EXECUTION",
    "Admission",
    "ApiKeyRepository",
    "Clock",
    "ExecutionFilter",
    "ExecutionRepository",
    "ExecutionRequest",
    "FinishedExecution",
    "FunctionFilter",
    "FunctionPage",
    "FunctionRepository",
    "IdGenerator",
    "KeyedCallRepository",
    "OwnerUsage",
    "Page",
    "RateCharge",
    "RateLedger",
    "Schema",
    "SchemaCompiler",
    "ScriptRun",
    "ScriptRunner",
    "SessionFilter",
    "SessionRepository",
    "TokenVerifier",
    "UsageReader",
    "Worker",
]
