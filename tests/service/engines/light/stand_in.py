"""In the converter's place: it does what the name of the model file says."""

import os
import signal
import sys

from service.engines.light.converted import NO_STORAGE, REFUSED, ConversionRequest, ConversionResult

request = ConversionRequest.model_validate_json(sys.stdin.readline())
match request.path.stem:
    case "refused":
        sys.stdout.write("the file is refused")
        sys.exit(REFUSED)
    case "full":
        sys.stdout.write(str(28))
        sys.exit(NO_STORAGE)
    case "broken":
        raise ImportError("there is no TensorFlow")
    case "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    case "crashed":
        ConversionResult(sha256=request.sha256, reason="it ends the process").write(request.folder)
        os.kill(os.getpid(), signal.SIGSEGV)
