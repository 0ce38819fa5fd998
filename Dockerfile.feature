# An image that holds one feature and nothing else: no system, no shell, nothing to run.
#
#   docker build -f Dockerfile.feature --build-arg FEATURE=patientlist -t <registry>/patientlist artifacts
#
# The context is an artifacts directory, as `pilar publish --local` fills it. `pilar image push` makes an image
# with the same tree without an engine, the same one each time, and prints its digest.
FROM scratch
ARG FEATURE
COPY ${FEATURE} /artifacts/${FEATURE}/
