FROM scratch   
LABEL a=b   
COPY f /f	
